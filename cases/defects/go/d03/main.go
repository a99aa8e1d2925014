// Command d03 is D-3: an entry is written to a journal that was closed before.
package main

import (
	"fmt"
	"os"
)

type journal struct {
	file *os.File
}

func (j *journal) append(entry string) error {
	if _, err := fmt.Fprintln(j.file, entry); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return nil
}

// close puts everything on the disk; nothing more can be written.
func (j *journal) close() error {
	return j.file.Close()
}

func record(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	j := &journal{file: file}
	if err := j.append("opened"); err != nil {
		return err
	}
	if err := j.close(); err != nil {
		return err
	}
	return j.append("one more")
}

func main() {
	if err := record(os.DevNull); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	fmt.Println("recorded")
}
