package service

import (
	"context"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

type sequenceKey struct{}

// SetSequence notes the commit that the answer of this call stands for; it leaves as the trailer
// tandem-sequence, of answers and refusals alike.
func SetSequence(ctx context.Context, sequence int64) {
	if noted, ok := ctx.Value(sequenceKey{}).(*int64); ok {
		*noted = sequence
	}
}

func trailers(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	began := time.Now()
	sequence := int64(-1)
	answer, err := handle(context.WithValue(ctx, sequenceKey{}, &sequence), request)
	pairs := metadata.Pairs("tandem-handler-ns", strconv.FormatInt(time.Since(began).Nanoseconds(), 10))
	if sequence >= 0 {
		pairs.Set("tandem-sequence", strconv.FormatInt(sequence, 10))
	}
	if trailerErr := grpc.SetTrailer(ctx, pairs); trailerErr != nil && err == nil {
		return nil, trailerErr
	}
	return answer, err
}
