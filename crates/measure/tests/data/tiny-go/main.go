// Command tiny counts in two places at once.
package main

import (
	"sync"

	"example.com/tiny/leaf"
)

func count() int {
	hits := 0
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { hits++ })
	}
	group.Wait()
	return hits
}

func main() {
	println(count(), leaf.First([]byte("a")))
}
