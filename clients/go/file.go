package settings

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

const format = "tandem-settings 1"

var errDamaged = errors.New("the file is damaged")

// kept is values with what names them. In its file there are four lines of text (the format, the
// service, the version of its namespace, the SHA-256 of the message), then the serialized message.
type kept struct {
	service string
	version uint64
	hash    []byte
	message []byte
}

func (k *kept) fine() bool {
	hash := sha256.Sum256(k.message)
	return bytes.Equal(hash[:], k.hash)
}

// read gives what stands in the file, and since when.
func read(path, service string) (*kept, time.Time, error) {
	about, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	found, err := parse(content, service)
	return found, about.ModTime(), err
}

func parse(content []byte, service string) (*kept, error) {
	parts := bytes.SplitN(content, []byte("\n"), 5)
	if len(parts) != 5 || string(parts[0]) != format || string(parts[1]) != service {
		return nil, errDamaged
	}
	version, err := strconv.ParseUint(string(parts[2]), 10, 64)
	if err != nil || strconv.FormatUint(version, 10) != string(parts[2]) {
		return nil, errDamaged
	}
	hash := sha256.Sum256(parts[4])
	if hex.EncodeToString(hash[:]) != string(parts[3]) {
		return nil, errDamaged
	}
	return &kept{service: service, version: version, hash: hash[:], message: parts[4]}, nil
}

func (k *kept) text() []byte {
	head := fmt.Sprintf("%s\n%s\n%d\n%x\n", format, k.service, k.version, k.hash)
	return append([]byte(head), k.message...)
}

// write writes the file aside and renames it.
func (k *kept) write(path string) error {
	aside, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = aside.Write(k.text())
	if err = errors.Join(err, aside.Sync(), aside.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
