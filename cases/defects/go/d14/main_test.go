package main

import "testing"

func TestAPageHasItsSize(t *testing.T) {
	if got := measure(3); got != 2048 {
		t.Errorf("measure(3) = %d", got)
	}
}
