// Command d09 is D-9: of two replicas the first answers, and the goroutine of the other waits for
// ever.
package main

import (
	"bufio"
	"fmt"
	"os"
)

// ask asks both replicas and takes the first answer.
func ask(question byte) int {
	answers := make(chan int) // room for one more would let the slower one go
	for replica := range 2 {
		buffer := make([]byte, 1024)
		buffer[replica] = question
		go func() { answers <- int(buffer[replica]) }()
	}
	return <-answers
}

func round(asks int) int {
	sum := 0
	for i := range asks {
		sum += ask(byte(i % 7))
	}
	return sum
}

func main() {
	if len(os.Args) < 2 || os.Args[1] != "soak" {
		fmt.Println(round(700))
		return
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		round(5_000)
		fmt.Println("round")
	}
}
