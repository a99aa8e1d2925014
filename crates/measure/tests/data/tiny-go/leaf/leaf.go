// Package leaf looks at bytes.
package leaf

import "unsafe"

// First is the first byte, without a look at the length.
func First(bytes []byte) byte {
	return *unsafe.SliceData(bytes)
}
