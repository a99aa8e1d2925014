// Command grpcgateway is grpc-gateway as its documents set it up, in front of one service.
//
//	grpcgateway LISTEN UPSTREAM
//
// It uses the cores that it is allowed. Windows are those that Tandem has towards its upstreams.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"tandem.local/bench/orders"
)

const messageBytesMax = 16 << 20

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: grpcgateway LISTEN UPSTREAM")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(listen, upstream string) error {
	mux := runtime.NewServeMux()
	err := orders.RegisterOrdersHandlerFromEndpoint(context.Background(), mux, upstream, []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(1 << 20),
		grpc.WithInitialConnWindowSize(4 << 20),
		grpc.WithReadBufferSize(64 << 10),
		grpc.WithWriteBufferSize(64 << 10),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(messageBytesMax),
			grpc.MaxCallSendMsgSize(messageBytesMax),
		),
	})
	if err != nil {
		return err
	}
	return http.ListenAndServe(listen, mux)
}
