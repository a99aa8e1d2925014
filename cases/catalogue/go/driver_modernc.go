//go:build !mattn

package main

import (
	"net/url"

	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

const driver = "sqlite"

// source names the file with the settings of every connection to it.
func source(path, synchronous string) string {
	settings := url.Values{
		"_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "cache_size(-65536)",
			"synchronous(" + synchronous + ")",
		},
	}
	return "file:" + path + "?" + settings.Encode()
}
