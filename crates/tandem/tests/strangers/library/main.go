// A server of googleapis' example library, as somebody who never heard of the gateway would write
// it: the published contract with its google.api.http rules, reflection, in memory.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"sort"
	"sync"

	library "google.golang.org/genproto/googleapis/example/library/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/reflection"
	alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/status"
)

type server struct {
	library.UnimplementedLibraryServiceServer

	mu      sync.Mutex
	shelves map[string]*library.Shelf
}

func (s *server) CreateShelf(_ context.Context, in *library.CreateShelfRequest) (*library.Shelf, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := fmt.Sprintf("shelves/%d", len(s.shelves)+1)
	shelf := &library.Shelf{Name: name, Theme: in.GetShelf().GetTheme()}
	s.shelves[name] = shelf
	return shelf, nil
}

func (s *server) GetShelf(_ context.Context, in *library.GetShelfRequest) (*library.Shelf, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shelf, ok := s.shelves[in.GetName()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no shelf %q", in.GetName())
	}
	return shelf, nil
}

func (s *server) ListShelves(context.Context, *library.ListShelvesRequest) (*library.ListShelvesResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := &library.ListShelvesResponse{}
	for _, shelf := range s.shelves {
		out.Shelves = append(out.Shelves, shelf)
	}
	sort.Slice(out.Shelves, func(i, j int) bool { return out.Shelves[i].Name < out.Shelves[j].Name })
	return out, nil
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to listen")
	theme := flag.String("theme", "", "theme of a shelf that is there from the beginning")
	cert := flag.String("cert", "", "certificate; without it the server speaks clear text")
	key := flag.String("key", "", "key of the certificate")
	offer := flag.String("reflection", "v1", "v1, v1alpha alone, or none")
	flag.Parse()

	var options []grpc.ServerOption
	if *cert != "" {
		creds, err := credentials.NewServerTLSFromFile(*cert, *key)
		if err != nil {
			log.Fatal(err)
		}
		options = append(options, grpc.Creds(creds))
	}
	s := &server{shelves: map[string]*library.Shelf{}}
	if *theme != "" {
		s.shelves["shelves/1"] = &library.Shelf{Name: "shelves/1", Theme: *theme}
	}
	grpcServer := grpc.NewServer(options...)
	library.RegisterLibraryServiceServer(grpcServer, s)
	switch *offer {
	case "v1":
		reflection.Register(grpcServer)
	case "v1alpha":
		alpha.RegisterServerReflectionServer(grpcServer, reflection.NewServer(reflection.ServerOptions{Services: grpcServer}))
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listens on", listener.Addr())
	log.Fatal(grpcServer.Serve(listener))
}
