// Package service is what every reference service in Go shares: start-up, health, reflection,
// administration, errors, and the trailers that the gateway's mirror reads.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"tandem.dev/clients/go/runtimepb"
	"tandem.local/cases/service/go/gen/adminpb"
)

// Options is the command line that all cases share.
type Options struct {
	// Listen is where calls are taken; port 0 takes a free one.
	Listen string
	// Admin is where the administration of the case listens, never the port of calls.
	Admin string
	// Data is the folder of the data, made when it is missing.
	Data string
	// Sync says when a write is safe on the disk: none, group or each.
	Sync string
	// Workers is the number of threads that run Go code.
	Workers int
	// Internal is the gateway's internal listener; empty for none.
	Internal string
	// SettingsFile keeps the last settings that the gateway gave; empty for none.
	SettingsFile string
}

// ErrUsage is wrapped by errors of the command line.
var ErrUsage = errors.New("usage")

// Flags registers the shared options.
func (o *Options) Flags(flags *flag.FlagSet) {
	flags.StringVar(&o.Listen, "listen", "127.0.0.1:0", "where calls are taken")
	flags.StringVar(&o.Admin, "admin", "127.0.0.1:0", "where the administration listens")
	flags.StringVar(&o.Data, "data", "", "the folder of the data")
	flags.StringVar(&o.Sync, "sync", "each", "when a write is safe: none, group or each")
	flags.IntVar(&o.Workers, "workers", 1, "threads that run the service")
	flags.StringVar(&o.Internal, "internal", "", "the gateway's internal listener")
	flags.StringVar(&o.SettingsFile, "settings-file", "", "where the last settings are kept")
}

// Check says what is wrong with the options.
func (o *Options) Check() error {
	switch {
	case o.Data == "":
		return fmt.Errorf("%w: --data names the folder of the data", ErrUsage)
	case o.Sync != "none" && o.Sync != "group" && o.Sync != "each":
		return fmt.Errorf("%w: --sync is none, group or each, not %q", ErrUsage, o.Sync)
	case o.Workers < 1 || o.Workers > 1024:
		return fmt.Errorf("%w: --workers is 1 to 1024, not %d", ErrUsage, o.Workers)
	}
	return nil
}

const (
	drain                 = 10 * time.Second
	streamWindowBytes     = 1 << 20
	connectionWindowBytes = 2 << 20
	streamsMost           = 1000
	messageBytesMost      = 4 << 20
)

// Face is HTTP beside gRPC.
type Face struct {
	// Listen is where it takes calls; port 0 takes a free one.
	Listen  string
	Handler http.Handler
}

// Serve runs the case until SIGTERM or SIGINT, then drains: ctx, which register is given, is
// cancelled so that long streams end, and calls under way have ten seconds. The faces that register
// gives are served as well; the ready line has their addresses by their names. What the process says
// of itself stands beside its administration, under the name program.
func Serve(o Options, name, program string, admin adminpb.CaseAdminServer, register func(context.Context, *grpc.Server) map[string]Face) error {
	runtime.GOMAXPROCS(o.Workers)
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", o.Listen, err)
	}
	adminListener, err := net.Listen("tcp", o.Admin)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", o.Admin, err)
	}
	signals, stopSignals := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stopSignals()
	running, stop := context.WithCancel(context.Background())
	defer stop()

	server := grpc.NewServer(
		grpc.InitialWindowSize(streamWindowBytes),
		grpc.InitialConnWindowSize(connectionWindowBytes),
		grpc.MaxConcurrentStreams(streamsMost),
		grpc.MaxRecvMsgSize(messageBytesMost),
		grpc.ChainUnaryInterceptor(trailers),
	)
	faces := register(running, server)
	checks := health.NewServer()
	checks.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, checks)
	reflection.Register(server)
	adminServer := grpc.NewServer()
	adminpb.RegisterCaseAdminServer(adminServer, admin)
	runtimepb.RegisterRuntimeServer(adminServer, &Figures{Program: program})

	ended := make(chan error, 2+len(faces))
	ready := map[string]string{
		"listen": listener.Addr().String(),
		"admin":  adminListener.Addr().String(),
	}
	var plain []*http.Server
	for name, face := range faces {
		listener, err := net.Listen("tcp", face.Listen)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w", face.Listen, err)
		}
		ready[name] = listener.Addr().String()
		server := &http.Server{Handler: face.Handler, ReadHeaderTimeout: drain}
		plain = append(plain, server)
		go func() { ended <- server.Serve(listener) }()
	}
	go func() { ended <- server.Serve(listener) }()
	go func() { ended <- adminServer.Serve(adminListener) }()
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-signals.Done():
	}
	slog.Info("draining")
	stop()
	checks.Shutdown()
	cut := time.AfterFunc(drain, func() {
		slog.Warn("calls were cut at the end of the drain")
		server.Stop()
	})
	defer cut.Stop()
	drained, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	for _, server := range plain {
		if err := server.Shutdown(drained); err != nil {
			slog.Warn("calls of a face were cut", "error", err)
		}
	}
	server.GracefulStop()
	adminServer.Stop()
	return nil
}

// Main runs a case: errors of the command line end with 2, others with 1.
func Main(run func() error) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	err := run()
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, ErrUsage):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
