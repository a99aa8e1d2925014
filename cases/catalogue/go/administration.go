package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	service "tandem.local/cases/service/go"
	"tandem.local/cases/service/go/gen/adminpb"
)

// administration is the CaseAdmin of the catalogue.
type administration struct {
	adminpb.UnimplementedCaseAdminServer
	store *Store
}

func (a *administration) StateDigest(ctx context.Context, _ *adminpb.StateDigestRequest) (*adminpb.StateDigestResponse, error) {
	revisions, sequence, err := a.store.Revisions(ctx)
	if err != nil {
		return nil, err
	}
	digest, err := service.Digest(revisions)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	_, err = a.store.Records(ctx, func(record *adminpb.Record) error {
		record.Noise = nil
		return service.WriteDelimited(hash, record)
	})
	if err != nil {
		return nil, err
	}
	return &adminpb.StateDigestResponse{
		Sha256:        digest,
		Sequence:      sequence,
		Count:         int64(len(revisions)),
		RecordsSha256: hash.Sum(nil),
	}, nil
}

func (a *administration) Reset(ctx context.Context, request *adminpb.ResetRequest) (*adminpb.ResetResponse, error) {
	size, known := datasetSizes[request.Dataset]
	if !known {
		return nil, status.Errorf(codes.InvalidArgument, "there is no dataset %d", request.Dataset)
	}
	sequence, err := a.store.Reset(ctx, size, request.Seed)
	if err != nil {
		return nil, err
	}
	return &adminpb.ResetResponse{Sequence: sequence}, nil
}

func (a *administration) Export(_ *adminpb.ExportRequest, stream adminpb.CaseAdmin_ExportServer) error {
	_, err := a.store.Records(stream.Context(), stream.Send)
	return err
}

func (a *administration) Import(stream adminpb.CaseAdmin_ImportServer) error {
	sequence, count, err := a.store.Import(stream.Context(), func() (*adminpb.Record, error) {
		record, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return record, err
	})
	switch {
	case errors.Is(err, errRecord):
		return status.Error(codes.InvalidArgument, err.Error())
	case err != nil:
		return err
	}
	return stream.SendAndClose(&adminpb.ImportResponse{Sequence: sequence, Count: count})
}
