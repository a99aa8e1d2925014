package service

import (
	"crypto/sha256"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"tandem.local/cases/service/go/gen/adminpb"
)

// Digest is SHA-256 over records sorted by name, each with its length before it.
func Digest(records []*adminpb.DigestRecord) ([]byte, error) {
	hash := sha256.New()
	for _, record := range records {
		if err := WriteDelimited(hash, record); err != nil {
			return nil, err
		}
	}
	return hash.Sum(nil), nil
}

// WriteDelimited writes a message with its length before it.
func WriteDelimited(to io.Writer, message proto.Message) error {
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := to.Write(protowire.AppendVarint(nil, uint64(len(bytes)))); err != nil {
		return err
	}
	_, err = to.Write(bytes)
	return err
}
