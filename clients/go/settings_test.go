package settings

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tandem.dev/clients/go/settingspb"
)

const service = "shop.catalogue.v1.Catalogue"

// The settings of these tests are one number.
type values32 = wrapperspb.Int32Value

func message(t *testing.T, number int32) []byte {
	t.Helper()
	body, err := proto.Marshal(wrapperspb.Int32(number))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// gateway is a small one: what it publishes is what a test says, what it hears is kept. It outlives
// its server, which can be killed and started again.
type gateway struct {
	settingspb.UnimplementedSettingsServer
	mu      sync.Mutex
	changed *sync.Cond
	current *settingspb.Snapshot
	asked   []*settingspb.WatchRequest
	reports []*settingspb.ReportRequest
}

func newGateway() *gateway {
	g := &gateway{}
	g.changed = sync.NewCond(&g.mu)
	return g
}

func (g *gateway) publish(version uint64, body []byte) {
	hash := sha256.Sum256(body)
	g.publishRaw(&settingspb.Snapshot{Version: version, Message: body, Hash: hash[:]})
}

func (g *gateway) publishRaw(snapshot *settingspb.Snapshot) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.current = snapshot
	g.changed.Broadcast()
}

func (g *gateway) Watch(request *settingspb.WatchRequest, stream settingspb.Settings_WatchServer) error {
	stop := context.AfterFunc(stream.Context(), func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.changed.Broadcast()
	})
	defer stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, request)
	var told *settingspb.Snapshot
	if g.current != nil && g.current.Version == request.HaveVersion && bytes.Equal(g.current.Hash, request.HaveHash) {
		told = g.current
	}
	g.mu.Unlock()
	err := stream.SendHeader(nil)
	g.mu.Lock()
	for err == nil {
		for g.current == told && stream.Context().Err() == nil {
			g.changed.Wait()
		}
		if err = stream.Context().Err(); err != nil {
			break
		}
		told = g.current
		g.mu.Unlock()
		err = stream.Send(told)
		g.mu.Lock()
	}
	return err
}

func (g *gateway) Report(_ context.Context, request *settingspb.ReportRequest) (*settingspb.ReportResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reports = append(g.reports, request)
	g.changed.Broadcast()
	return &settingspb.ReportResponse{}, nil
}

// heard waits until there are count reports, and gives the last as version and outcome.
func (g *gateway) heard(t *testing.T, count int) (uint64, string) {
	t.Helper()
	late := time.AfterFunc(20*time.Second, func() { panic("no reports in time") })
	defer late.Stop()
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.reports) < count {
		g.changed.Wait()
	}
	report := g.reports[count-1]
	if report.Service != service || report.Instance != "one" || len(report.Hash) != sha256.Size {
		t.Errorf("a report of somebody else: %v", report)
	}
	if refused := report.GetRefused(); refused != nil {
		return report.Version, refused.Reason
	}
	return report.Version, "applied"
}

// start serves at address and gives the one it has; stop ends every connection.
func (g *gateway) start(t *testing.T, address string) (_ string, stop func()) {
	t.Helper()
	var listener net.Listener
	// A port that was free for a moment may have been taken for a call of somebody else.
	until(t, "the port is free", func() bool {
		var err error
		listener, err = net.Listen("tcp", address)
		return err == nil
	})
	server := grpc.NewServer()
	settingspb.RegisterSettingsServer(server, g)
	go func() { _ = server.Serve(listener) }() // it ends with the test
	t.Cleanup(server.Stop)
	return listener.Addr().String(), server.Stop
}

func watch(t *testing.T, address string, options Options[*values32]) (_ *Settings[*values32], end func()) {
	t.Helper()
	conn, err := Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	options.Instance = "one"
	watched, err := Watch(ctx, conn, service, options)
	if err != nil {
		t.Fatal(err)
	}
	return watched, cancel
}

func until(t *testing.T, what string, look func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !look(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func expect(t *testing.T, s *Settings[*values32], value int32, version uint64) {
	t.Helper()
	got, _ := s.Version()
	if s.Current().GetValue() != value || got != version {
		t.Errorf("value %d, version %d, want %d, %d", s.Current().GetValue(), got, value, version)
	}
}

func expectHeard(t *testing.T, g *gateway, count int, version uint64, outcome string) {
	t.Helper()
	if gotVersion, got := g.heard(t, count); gotVersion != version || !strings.Contains(got, outcome) {
		t.Errorf("report %d is of version %d: %q, want %d: %q", count, gotVersion, got, version, outcome)
	}
}

func TestValuesAreThoseOfTheGateway(t *testing.T) {
	g := newGateway()
	g.publish(1, message(t, 30))
	address, _ := g.start(t, "127.0.0.1:0")
	s, _ := watch(t, address, Options[*values32]{})
	expectHeard(t, g, 1, 1, "applied")
	expect(t, s, 30, 1)
	if age, known := s.Age(); age != 0 || !known || s.Err() != nil {
		t.Errorf("age %v, %v; %v", age, known, s.Err())
	}
	g.publish(2, message(t, 40))
	expectHeard(t, g, 2, 2, "applied")
	expect(t, s, 40, 2)
}

func TestWithoutGatewayAndFileThereAreTheDefaults(t *testing.T) {
	g := newGateway()
	address, stop := g.start(t, "127.0.0.1:0")
	stop()
	s, _ := watch(t, address, Options[*values32]{})
	if _, known := s.Age(); known {
		t.Error("defaults have no age")
	}
	if _, known := s.Version(); known || s.Current().GetValue() != 0 {
		t.Error("defaults have no version")
	}
	until(t, "the trouble is told", func() bool { return s.Err() != nil })
	g.publish(1, message(t, 5))
	g.start(t, address)
	expectHeard(t, g, 1, 1, "applied")
	expect(t, s, 5, 1)
}

func TestAChangeMayBeRefused(t *testing.T) {
	g := newGateway()
	g.publish(1, message(t, 30))
	address, _ := g.start(t, "127.0.0.1:0")
	s, _ := watch(t, address, Options[*values32]{OnChange: func(next *values32) error {
		if next.Value > 60 {
			return errors.New("more than we can bear")
		}
		return nil
	}})
	expectHeard(t, g, 1, 1, "applied")
	g.publish(2, message(t, 61))
	expectHeard(t, g, 2, 2, "more than we can bear")
	g.publish(3, []byte{0xff, 0xff})
	expectHeard(t, g, 3, 3, "proto")
	g.publishRaw(&settingspb.Snapshot{Version: 4, Message: message(t, 1), Hash: make([]byte, 32)})
	expectHeard(t, g, 4, 4, "hash")
	expect(t, s, 30, 1)
	g.publish(5, message(t, 60))
	expectHeard(t, g, 5, 5, "applied")
	expect(t, s, 60, 5)
}

func TestTheSameValuesInAnotherVersionAreNoChange(t *testing.T) {
	g := newGateway()
	g.publish(1, message(t, 30))
	address, _ := g.start(t, "127.0.0.1:0")
	var mu sync.Mutex
	var told []int32
	s, _ := watch(t, address, Options[*values32]{OnChange: func(next *values32) error {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, next.Value)
		return nil
	}})
	expectHeard(t, g, 1, 1, "applied")
	g.publish(2, message(t, 30))
	expectHeard(t, g, 2, 2, "applied")
	expect(t, s, 30, 2)
	g.publish(3, message(t, 31))
	expectHeard(t, g, 3, 3, "applied")
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(told, []int32{30, 31}) {
		t.Errorf("told %v", told)
	}
}

func TestTheLastValuesOutliveTheGatewayAndTheProcess(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings")
	g := newGateway()
	g.publish(1, message(t, 30))
	address, stop := g.start(t, "127.0.0.1:0")
	s, end := watch(t, address, Options[*values32]{File: file})
	expectHeard(t, g, 1, 1, "applied")
	stop()
	until(t, "the gateway is missed", func() bool { return s.Err() != nil })
	expect(t, s, 30, 1)
	if age, known := s.Age(); age <= 0 || !known {
		t.Errorf("age %v, %v", age, known)
	}
	end()
	// A process that starts without a gateway.
	s, _ = watch(t, address, Options[*values32]{File: file})
	expect(t, s, 30, 1)
	// The gateway comes back with the same values: nothing is sent; then with others.
	g.start(t, address)
	until(t, "the gateway is there", func() bool { age, known := s.Age(); return s.Err() == nil && known && age == 0 })
	g.mu.Lock()
	if have := g.asked[len(g.asked)-1].HaveVersion; have != 1 {
		t.Errorf("it says that it has %d", have)
	}
	g.mu.Unlock()
	g.publish(2, message(t, 40))
	expectHeard(t, g, 2, 2, "applied")
	expect(t, s, 40, 2)
}

func TestADamagedFileIsNotBelieved(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "settings")
	if err := os.WriteFile(file, []byte(format+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGateway()
	g.publish(1, message(t, 30))
	address, stop := g.start(t, "127.0.0.1:0")
	stop()
	s, _ := watch(t, address, Options[*values32]{File: file})
	if s.Current().GetValue() != 0 || !errors.Is(s.Err(), errDamaged) {
		t.Errorf("%v, %v", s.Current(), s.Err())
	}
	g.start(t, address)
	expectHeard(t, g, 1, 1, "applied")
	content, err := os.ReadFile(file)
	if err != nil || !bytes.HasSuffix(content, message(t, 30)) {
		t.Errorf("%q, %v", content, err)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) != 1 {
		t.Errorf("left beside the file: %v", left)
	}
}

func TestAnEndedContextEndsTheWatching(t *testing.T) {
	g := newGateway()
	g.publish(1, message(t, 30))
	address, _ := g.start(t, "127.0.0.1:0")
	s, end := watch(t, address, Options[*values32]{})
	expectHeard(t, g, 1, 1, "applied")
	end()
	g.publish(2, message(t, 40))
	expect(t, s, 30, 1)
	if _, err := Watch(t.Context(), nil, service, Options[*values32]{}); err == nil {
		t.Error("an instance without a name watches")
	}
}

func vectors(t *testing.T) (found struct {
	Rollouts []struct {
		Setting, Principal string
		Number             uint32
	}
	Files []struct {
		What, Service, Version, Message, File string
		Valid                                 bool
	}
}) {
	t.Helper()
	text, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func TestPrincipalsHaveTheSameNumbersInEveryLanguage(t *testing.T) {
	for _, vector := range vectors(t).Rollouts {
		if IsOn(vector.Number, vector.Setting, vector.Principal) || !IsOn(vector.Number+1, vector.Setting, vector.Principal) {
			t.Errorf("%q %q: not %d", vector.Setting, vector.Principal, vector.Number)
		}
	}
}

func TestFilesAreThoseOfEveryLanguage(t *testing.T) {
	for _, vector := range vectors(t).Files {
		t.Run(vector.What, func(t *testing.T) {
			content, err := hex.DecodeString(vector.File)
			if err != nil {
				t.Fatal(err)
			}
			found, err := parse(content, vector.Service)
			if !vector.Valid {
				if err == nil {
					t.Error("it is believed")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if strconv.FormatUint(found.version, 10) != vector.Version || hex.EncodeToString(found.message) != vector.Message {
				t.Errorf("read as %d, %x", found.version, found.message)
			}
			if !bytes.Equal(found.text(), content) {
				t.Errorf("written as %q", found.text())
			}
		})
	}
}
