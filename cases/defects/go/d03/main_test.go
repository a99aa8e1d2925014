package main

import (
	"path/filepath"
	"testing"
)

func TestEntriesAreRecorded(t *testing.T) {
	if err := record(filepath.Join(t.TempDir(), "journal")); err != nil {
		t.Fatal(err)
	}
}
