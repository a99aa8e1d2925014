//go:build mattn

package main

import (
	"net/url"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3", the C library itself
)

const driver = "sqlite3"

// source names the file with the settings of every connection to it.
func source(path, synchronous string) string {
	settings := url.Values{
		"_busy_timeout": {"5000"},
		"_journal_mode": {"WAL"},
		"_cache_size":   {"-65536"},
		"_synchronous":  {synchronous},
	}
	return "file:" + path + "?" + settings.Encode()
}
