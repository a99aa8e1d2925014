// Command d02 is D-2: two goroutines write to one map, and nothing keeps them apart.
package main

import (
	"fmt"
	"sync"
)

func fill(each int) int {
	seen := make(map[int]int)
	var group sync.WaitGroup
	for writer := range 2 {
		group.Go(func() {
			for key := range each {
				seen[writer*each+key] = key
			}
		})
	}
	group.Wait()
	return len(seen)
}

func main() {
	fmt.Println(fill(100_000))
}
