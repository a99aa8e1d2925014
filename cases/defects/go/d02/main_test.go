package main

import "testing"

func TestTwoGoroutinesFill(t *testing.T) {
	fill(1_000)
}
