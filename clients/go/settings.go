// Package settings gives a service its own settings, pushed to it by a Tandem gateway.
//
//	conn, err := settings.Dial("127.0.0.1:8081")
//	…
//	values, err := settings.Watch(ctx, conn, "shop.catalogue.v1.Catalogue",
//		settings.Options[*cataloguepb.CatalogueSettings]{Instance: "catalogue-1", File: "settings"})
//	discount := values.Current().GetMaxDiscountPercent()
//
// Values are there from the first moment: those of the file, where there is one, or the defaults of
// the message. Without the gateway a service goes on by the last that it had.
package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	"tandem.dev/clients/go/settingspb"
)

const (
	waitFirst = 100 * time.Millisecond
	waitMost  = 5 * time.Second
	alive     = 20 * time.Second
)

// Options says how values are watched.
type Options[M proto.Message] struct {
	// Instance names this process among those of its service: 1 to 128 of [A-Za-z0-9._:-].
	Instance string
	// File keeps the last values, to start from when the gateway is not there; empty for none.
	File string
	// OnChange is asked before values come into force; an error refuses them. It runs where the
	// stream is read, so it is quick. Nil takes every change.
	OnChange func(M) error
}

// Settings are the values of one service.
type Settings[M proto.Message] struct {
	service string
	options Options[M]
	client  settingspb.SettingsClient
	current atomic.Pointer[values[M]]
	trouble atomic.Pointer[error]
}

// values are never changed once they are in force.
type values[M proto.Message] struct {
	message M
	kept    *kept     // what message came from; nil for the defaults
	lost    time.Time // when the gateway was last there; zero while it is
}

// Dial connects to the gateway's internal listener, without TLS and as often as it takes. Any other
// connection will do as well; grpc's own defaults may wait for two minutes before they try again.
func Dial(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(target,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: alive, Timeout: alive}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: waitFirst, Multiplier: 2, Jitter: 0.5, MaxDelay: waitMost},
			MinConnectTimeout: waitMost,
		}))
}

// Watch watches the settings of service, a full name, until ctx ends. It fails only for a name that
// is missing: a gateway that is not there is waited for.
func Watch[M proto.Message](ctx context.Context, conn grpc.ClientConnInterface, service string, options Options[M]) (*Settings[M], error) {
	if service == "" || options.Instance == "" {
		return nil, errors.New("settings: a service and an instance must be named")
	}
	s := &Settings[M]{service: service, options: options, client: settingspb.NewSettingsClient(conn)}
	s.current.Store(&values[M]{message: newOf[M](), lost: time.Now()})
	if options.File != "" {
		s.start()
	}
	go s.run(ctx)
	return s, nil
}

// start takes the values of the file, if they can be believed.
func (s *Settings[M]) start() {
	found, written, err := read(s.options.File, s.service)
	if err == nil {
		err = s.apply(found, written)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.say(fmt.Errorf("settings: %s: %w", s.options.File, err))
	}
}

// Current gives the values in force, without a lock. They belong to all who ask: nobody changes them.
func (s *Settings[M]) Current() M { return s.current.Load().message }

// Version is that of the values in force, 0 and false for the defaults.
func (s *Settings[M]) Version() (uint64, bool) {
	kept := s.current.Load().kept
	if kept == nil {
		return 0, false
	}
	return kept.version, true
}

// Age says for how long the gateway has not confirmed the values in force: 0 while it is there, since
// the file was written when they came from one, false for defaults that it never confirmed.
func (s *Settings[M]) Age() (time.Duration, bool) {
	now := s.current.Load()
	switch {
	case now.lost.IsZero():
		return 0, true
	case now.kept == nil:
		return 0, false
	}
	return time.Since(now.lost), true
}

// Err is what went wrong last, nil while all is well: the gateway is not there, the file cannot be
// read or written.
func (s *Settings[M]) Err() error {
	if err := s.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Settings[M]) say(err error) { s.trouble.Store(&err) }

// apply puts values in force, or says why not. Only start and run call it, never both.
func (s *Settings[M]) apply(next *kept, lost time.Time) error {
	if !next.fine() {
		return errors.New("the message does not have the hash that it came with")
	}
	before := s.current.Load()
	message := before.message
	if before.kept == nil || !bytes.Equal(before.kept.hash, next.hash) {
		message = newOf[M]()
		if err := proto.Unmarshal(next.message, message); err != nil {
			return err
		}
		if s.options.OnChange != nil {
			if err := s.options.OnChange(message); err != nil {
				return err
			}
		}
	}
	s.current.Store(&values[M]{message: message, kept: next, lost: lost})
	return nil
}

// since notes when the gateway was last there.
func (s *Settings[M]) since(lost time.Time) {
	now := *s.current.Load()
	now.lost = lost
	s.current.Store(&now)
}

func (s *Settings[M]) run(ctx context.Context) {
	wait := waitFirst
	for {
		err := s.follow(ctx, &wait)
		if ctx.Err() != nil {
			return
		}
		if s.current.Load().lost.IsZero() {
			s.since(time.Now())
		}
		s.say(fmt.Errorf("settings: the gateway is not there: %w", err))
		// Half of it to the whole: services that lost their gateway do not come back together.
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, waitMost)
	}
}

// follow reads one stream to its end.
func (s *Settings[M]) follow(ctx context.Context, wait *time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request := &settingspb.WatchRequest{Service: s.service, Instance: s.options.Instance}
	if have := s.current.Load().kept; have != nil {
		request.HaveVersion, request.HaveHash = have.version, have.hash
	}
	stream, err := s.client.Watch(ctx, request)
	if err != nil {
		return err
	}
	// The head is the sign that the gateway is there: there may be nothing to send.
	head, err := stream.Header()
	if err == nil && head == nil {
		_, err = stream.Recv() // it was refused
	}
	if err != nil {
		return err
	}
	*wait = waitFirst
	s.since(time.Time{})
	s.trouble.Store(nil)
	for {
		snapshot, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := s.take(ctx, snapshot); err != nil {
			return err
		}
	}
}

// take applies a snapshot, keeps it and says what became of it.
func (s *Settings[M]) take(ctx context.Context, snapshot *settingspb.Snapshot) error {
	next := &kept{service: s.service, version: snapshot.Version, hash: snapshot.Hash, message: snapshot.Message}
	report := &settingspb.ReportRequest{
		Service: s.service, Instance: s.options.Instance, Version: next.version, Hash: next.hash,
		Outcome: &settingspb.ReportRequest_Applied{Applied: &settingspb.Applied{}},
	}
	if err := s.apply(next, time.Time{}); err != nil {
		report.Outcome = &settingspb.ReportRequest_Refused{Refused: &settingspb.Refused{Reason: err.Error()}}
	} else if s.options.File != "" {
		if err := next.write(s.options.File); err != nil {
			s.say(fmt.Errorf("settings: %w", err))
		}
	}
	_, err := s.client.Report(ctx, report)
	return err
}

// newOf is an empty message.
func newOf[M proto.Message]() M {
	var none M
	return none.ProtoReflect().New().Interface().(M)
}
