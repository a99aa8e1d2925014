package service

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"tandem.dev/clients/go"
)

// Settings watches the settings of a service, at the gateway that the options name, and gives what
// reads them. Without a gateway they are the defaults of the contract for good.
func Settings[M proto.Message](ctx context.Context, o Options, service, program string, bearable func(M) error) (func() M, error) {
	if o.Internal == "" {
		var none M
		defaults := none.ProtoReflect().New().Interface().(M)
		return func() M { return defaults }, nil
	}
	conn, err := settings.Dial(o.Internal)
	if err != nil {
		return nil, fmt.Errorf("--internal: %w", err)
	}
	watched, err := settings.Watch(ctx, conn, service, settings.Options[M]{
		Instance: fmt.Sprintf("%s-%d", program, os.Getpid()),
		File:     o.SettingsFile,
		OnChange: bearable,
	})
	if err != nil {
		return nil, err
	}
	go tell(ctx, watched.Err)
	return watched.Current, nil
}

// tell logs what is wrong with the settings, when it begins and when it ends.
func tell(ctx context.Context, trouble func() error) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	wrong := false
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		err := trouble()
		if wrong != (err != nil) {
			wrong = err != nil
			slog.Info("settings", "trouble", err)
		}
	}
}
