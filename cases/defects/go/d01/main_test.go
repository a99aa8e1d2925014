package main

import "testing"

func TestTwoGoroutinesCount(t *testing.T) {
	count(1_000)
}
