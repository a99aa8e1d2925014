// Command vanguard is vanguard-go in front of a reverse proxy to one service, as its documents
// show it.
//
//	vanguard LISTEN UPSTREAM
//
// It uses the cores that it is allowed. Windows are those that Tandem has towards its upstreams.
package main

import (
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"

	"connectrpc.com/vanguard"

	"tandem.local/bench/orders"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: vanguard LISTEN UPSTREAM")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(listen, upstream string) error {
	// HTTP/2 without TLS, which gRPC is here.
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: upstream})
	proxy.FlushInterval = -1
	proxy.Transport = &http.Transport{
		Protocols: protocols,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream:     1 << 20,
			MaxReceiveBufferPerConnection: 4 << 20,
		},
	}
	service := vanguard.NewService(
		orders.Orders_ServiceDesc.ServiceName,
		proxy,
		vanguard.WithTargetProtocols(vanguard.ProtocolGRPC),
		vanguard.WithTargetCodecs(vanguard.CodecProto),
	)
	transcoder, err := vanguard.NewTranscoder([]*vanguard.Service{service})
	if err != nil {
		return err
	}
	return http.ListenAndServe(listen, transcoder)
}
