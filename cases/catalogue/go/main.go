// Command catalogue is the catalogue in Go: products on SQLite behind gRPC.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"

	"google.golang.org/grpc"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	service "tandem.local/cases/service/go"
)

func main() {
	service.Main(run)
}

func run() error {
	var options service.Options
	flags := flag.NewFlagSet("catalogue", flag.ContinueOnError)
	options.Flags(flags)
	testClock := flags.Bool("test-clock", false, "take the time from the metadata x-tandem-now")
	restAddress := flags.String("rest", "", "where the plain REST face listens, if it is wanted")
	if err := flags.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", service.ErrUsage, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: %q is no flag", service.ErrUsage, flags.Arg(0))
	}
	if err := options.Check(); err != nil {
		return err
	}
	name := cataloguepb.Catalogue_ServiceDesc.ServiceName
	store, err := OpenStore(context.Background(), options.Data, options.Sync)
	if err != nil {
		return err
	}
	defer store.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const program = "catalogue-go"
	values, err := service.Settings(ctx, options, name, program, bearable)
	if err != nil {
		return err
	}
	return service.Serve(options, name, program, &administration{store: store}, func(ctx context.Context, server *grpc.Server) map[string]service.Face {
		methods := &catalogue{store: store, stopping: ctx, testClock: *testClock, team: values}
		cataloguepb.RegisterCatalogueServer(server, methods)
		if *restAddress == "" {
			return nil
		}
		return map[string]service.Face{"rest": {Listen: *restAddress, Handler: methods.rest()}}
	})
}
