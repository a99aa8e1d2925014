// Command d14 is D-14: parents and children of a tree keep each other alive.
package main

import (
	"bufio"
	"fmt"
	"os"
)

type node struct {
	parent   *node
	children []*node
	text     []byte
}

func (n *node) adopt(child *node) {
	child.parent = n
	n.children = append(n.children, child)
}

// measure builds a page and measures it; it is no longer needed afterwards.
func measure(children int) int {
	page := &node{text: make([]byte, 512)}
	for range children {
		page.adopt(&node{text: make([]byte, 512)})
	}
	size := len(page.text)
	for _, child := range page.children {
		size += len(child.text)
	}
	return size
}

func round(pages int) int {
	sum := 0
	for range pages {
		sum += measure(3)
	}
	return sum
}

func main() {
	if len(os.Args) < 2 || os.Args[1] != "soak" {
		fmt.Println(round(10))
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		round(5_000)
		fmt.Println("round")
	}
}
