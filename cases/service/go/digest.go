package service

import (
	"crypto/sha256"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"tandem.local/cases/service/go/gen/adminpb"
)

// Digest is SHA-256 over records sorted by name, each with its length before it.
func Digest(records []*adminpb.DigestRecord) ([]byte, error) {
	hash := sha256.New()
	options := proto.MarshalOptions{Deterministic: true}
	for _, record := range records {
		bytes, err := options.Marshal(record)
		if err != nil {
			return nil, err
		}
		hash.Write(protowire.AppendVarint(nil, uint64(len(bytes))))
		hash.Write(bytes)
	}
	return hash.Sum(nil), nil
}
