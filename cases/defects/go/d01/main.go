// Command d01 is D-1: two goroutines count hits on one counter, and nothing keeps them apart.
package main

import (
	"fmt"
	"sync"
)

type counter struct {
	hits int
}

func (c *counter) hit() { c.hits++ }

func count(each int) int {
	var c counter
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range each {
				c.hit()
			}
		})
	}
	group.Wait()
	return c.hits
}

func main() {
	fmt.Println(count(100_000))
}
