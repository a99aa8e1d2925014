package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
)

// serve starts the service in this process and gives a client of it. What its team says is given, or
// the defaults.
func serve(t *testing.T, says ...team) cataloguepb.CatalogueClient {
	t.Helper()
	store, err := OpenStore(t.Context(), t.TempDir(), "none")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	ctx, stop := context.WithCancel(context.Background())
	methods := &catalogue{store: store, stopping: ctx}
	if len(says) > 0 {
		methods.team = says[0]
	}
	cataloguepb.RegisterCatalogueServer(server, methods)
	go server.Serve(listener)
	t.Cleanup(func() { stop(); server.Stop() })
	return dial(t, listener.Addr().String())
}

func dial(t *testing.T, address string) cataloguepb.CatalogueClient {
	t.Helper()
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return cataloguepb.NewCatalogueClient(connection)
}

func kettle() *cataloguepb.Product {
	return &cataloguepb.Product{
		DisplayName: "Kettle",
		Price:       &money.Money{CurrencyCode: "EUR", Units: 12, Nanos: 500_000_000},
	}
}

func create(t *testing.T, client cataloguepb.CatalogueClient, id string) *cataloguepb.Product {
	t.Helper()
	product, err := client.CreateProduct(t.Context(), &cataloguepb.CreateProductRequest{ProductId: id, Product: kettle()})
	if err != nil {
		t.Fatal(err)
	}
	return product
}

// reason is the code and the reason of an error.
func reason(err error) string {
	if err == nil {
		return "OK"
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		err = joined.Unwrap()[0]
	}
	said := status.Convert(err)
	for _, detail := range said.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return fmt.Sprintf("%s/%s", said.Code(), info.Reason)
		}
	}
	return said.Code().String()
}

// limits reads the numbers of cases/limits.yaml: `name: { least: 1, most: 63 }`.
func limits(t *testing.T) map[string]map[string]int {
	t.Helper()
	text, err := os.ReadFile("../../limits.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]map[string]int{}
	line := regexp.MustCompile(`(?m)^  (\w+): \{(.*)\}$`)
	pair := regexp.MustCompile(`(\w+): (\d+)`)
	for _, match := range line.FindAllStringSubmatch(string(text), -1) {
		found[match[1]] = map[string]int{}
		for _, pair := range pair.FindAllStringSubmatch(match[2], -1) {
			number, _ := strconv.Atoi(pair[2])
			found[match[1]][pair[1]] = number
		}
	}
	return found
}

func TestTheLastValueOfEachLimitPassesAndTheNextDoesNot(t *testing.T) {
	client := serve(t)
	numbers := limits(t)
	next := 0
	try := func(change func(*cataloguepb.CreateProductRequest)) string {
		next++
		request := &cataloguepb.CreateProductRequest{ProductId: fmt.Sprintf("p-%d", next), Product: kettle()}
		change(request)
		_, err := client.CreateProduct(t.Context(), request)
		return reason(err)
	}
	text := func(bytes int) string { return strings.Repeat("x", bytes) }
	labels := func(count, key, value int) map[string]string {
		made := map[string]string{}
		for number := range count {
			made[fmt.Sprintf("%0*d", key, number)] = text(value)
		}
		return made
	}
	for limit, set := range map[string]struct {
		reason string
		set    func(*cataloguepb.CreateProductRequest, int)
	}{
		"product_id_bytes":   {"PRODUCT_ID", func(r *cataloguepb.CreateProductRequest, n int) { r.ProductId = text(n) }},
		"display_name_bytes": {"DISPLAY_NAME", func(r *cataloguepb.CreateProductRequest, n int) { r.Product.DisplayName = text(n) }},
		"description_bytes":  {"DESCRIPTION", func(r *cataloguepb.CreateProductRequest, n int) { r.Product.Description = text(n) }},
		"category_bytes":     {"CATEGORY", func(r *cataloguepb.CreateProductRequest, n int) { r.Product.Category = text(n) }},
		"labels":             {"LABELS", func(r *cataloguepb.CreateProductRequest, n int) { r.Product.Labels = labels(n, 3, 1) }},
		"label_key_bytes":    {"LABELS", func(r *cataloguepb.CreateProductRequest, n int) { r.Product.Labels = map[string]string{text(n): ""} }},
		"label_value_bytes":  {"LABELS", func(r *cataloguepb.CreateProductRequest, n int) { r.Product.Labels = labels(1, 1, n) }},
	} {
		bounds, ok := numbers[limit]
		if !ok {
			t.Fatalf("limits.yaml has no %s", limit)
		}
		with := func(n int) string {
			return try(func(r *cataloguepb.CreateProductRequest) { set.set(r, n) })
		}
		if got := with(bounds["most"]); got != "OK" {
			t.Errorf("%s: %d is refused: %s", limit, bounds["most"], got)
		}
		if got := with(bounds["most"] + 1); got != "InvalidArgument/"+set.reason {
			t.Errorf("%s: %d gives %s", limit, bounds["most"]+1, got)
		}
		if least, ok := bounds["least"]; ok && least > 0 {
			if got := with(least - 1); got != "InvalidArgument/"+set.reason {
				t.Errorf("%s: %d gives %s", limit, least-1, got)
			}
		}
	}
}

func TestEachRefusalHasItsCodeAndItsReason(t *testing.T) {
	client := serve(t)
	first := create(t, client, "a")
	id := "5c1e8a2e-3d0b-4b67-9a7c-0d6c3ad8f3b1"
	with := func(id string, product *cataloguepb.Product, request string) error {
		_, err := client.CreateProduct(t.Context(), &cataloguepb.CreateProductRequest{ProductId: id, Product: product, RequestId: request})
		return err
	}
	if err := with("again", kettle(), id); err != nil {
		t.Fatal(err)
	}
	get := func(name string) error {
		_, err := client.GetProduct(t.Context(), &cataloguepb.GetProductRequest{Name: name})
		return err
	}
	list := func(request *cataloguepb.ListProductsRequest) error {
		_, err := client.ListProducts(t.Context(), request)
		return err
	}
	other, err := tokenBehind(first, order{}, argumentsOf(&cataloguepb.ListProductsRequest{Filter: "stock = 1"}))
	if err != nil {
		t.Fatal(err)
	}
	adjust := func(name string, delta int64) error {
		_, err := client.AdjustStock(t.Context(), &cataloguepb.AdjustStockRequest{Name: name, Delta: delta})
		return err
	}
	update := func(product *cataloguepb.Product, paths ...string) error {
		_, err := client.UpdateProduct(t.Context(), &cataloguepb.UpdateProductRequest{Product: product, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
		return err
	}
	remove := func(name, etag string) error {
		_, err := client.DeleteProduct(t.Context(), &cataloguepb.DeleteProductRequest{Name: name, Etag: etag})
		return err
	}
	watch := func(from int64) error {
		stream, err := client.WatchProducts(t.Context(), &cataloguepb.WatchProductsRequest{FromSequence: from})
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	for what, check := range map[string]struct {
		err  error
		want string
	}{
		"the same name":               {with("a", kettle(), ""), "AlreadyExists/EXISTS"},
		"the same request":            {with("again", kettle(), id), "OK"},
		"its id with another body":    {with("other", kettle(), id), "InvalidArgument/REQUEST_ID"},
		"a request id that is none":   {with("b", kettle(), "x"), "InvalidArgument/REQUEST_ID"},
		"no product":                  {with("b", nil, ""), "InvalidArgument/DISPLAY_NAME"},
		"an unknown product":          {get("products/none"), "NotFound/UNKNOWN_PRODUCT"},
		"a name that is none":         {get("nothing/a"), "InvalidArgument/NAME"},
		"a negative page":             {list(&cataloguepb.ListProductsRequest{PageSize: -1}), "InvalidArgument/PAGE_SIZE"},
		"a page above the most":       {list(&cataloguepb.ListProductsRequest{PageSize: 5000}), "OK"},
		"a token that is none":        {list(&cataloguepb.ListProductsRequest{PageToken: "x"}), "InvalidArgument/PAGE_TOKEN"},
		"a token of other arguments":  {list(&cataloguepb.ListProductsRequest{PageToken: other}), "InvalidArgument/PAGE_TOKEN"},
		"its token with another size": {list(&cataloguepb.ListProductsRequest{PageToken: other, Filter: "stock = 1", PageSize: 3}), "OK"},
		"a filter that is none":       {list(&cataloguepb.ListProductsRequest{Filter: "stock ="}), "InvalidArgument/FILTER"},
		"an order that is none":       {list(&cataloguepb.ListProductsRequest{OrderBy: "description"}), "InvalidArgument/ORDER_BY"},
		"an unknown path to read":     {list(&cataloguepb.ListProductsRequest{ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"nope"}}}), "InvalidArgument/READ_MASK"},
		"more than there is":          {adjust(first.Name, -1), "FailedPrecondition/STOCK"},
		"more than can be counted":    {errors.Join(adjust(first.Name, 1), adjust(first.Name, 1<<63-1)), "OutOfRange/STOCK"},
		"an unknown path":             {update(&cataloguepb.Product{Name: first.Name}, "nope"), "InvalidArgument/UPDATE_MASK"},
		"an output-only path":         {update(&cataloguepb.Product{Name: first.Name}, "create_time"), "OK"},
		"a stale etag":                {update(&cataloguepb.Product{Name: first.Name, Etag: `"r99"`, Stock: 1}, "stock"), "Aborted/ETAG"},
		"a negative stock":            {update(&cataloguepb.Product{Name: first.Name, Stock: -1}, "stock"), "InvalidArgument/STOCK"},
		"removing what is not there":  {remove("products/none", ""), "NotFound/UNKNOWN_PRODUCT"},
		"removing with a stale etag":  {remove(first.Name, `"r99"`), "Aborted/ETAG"},
		"following from nowhere":      {watch(-1), "InvalidArgument/FROM_SEQUENCE"},
		"following from the future":   {watch(1000), "OutOfRange/AHEAD"},
	} {
		if got := reason(check.err); got != check.want {
			t.Errorf("%s: %s, not %s", what, got, check.want)
		}
	}
}

func TestPagesHoldEveryProductOnceWhileOthersAreMade(t *testing.T) {
	client := serve(t)
	for number := range 60 {
		create(t, client, fmt.Sprintf("p-%02d", number))
	}
	seen := map[string]int{}
	token := ""
	for page := 0; ; page++ {
		create(t, client, fmt.Sprintf("q-%02d", page))
		answer, err := client.ListProducts(t.Context(), &cataloguepb.ListProductsRequest{PageSize: 7, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, product := range answer.Products {
			seen[product.Name]++
		}
		if token = answer.NextPageToken; token == "" {
			break
		}
	}
	for number := range 60 {
		if name := fmt.Sprintf("products/p-%02d", number); seen[name] != 1 {
			t.Errorf("%s was listed %d times", name, seen[name])
		}
	}
}

// follow applies changes by name until it has seen a sequence.
func follow(t *testing.T, client cataloguepb.CatalogueClient, from, to int64, state map[string]string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream, err := client.WatchProducts(ctx, &cataloguepb.WatchProductsRequest{FromSequence: from})
	if err != nil {
		t.Fatal(err)
	}
	for from < to {
		change, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if change.Sequence <= from {
			t.Fatalf("%d came behind %d", change.Sequence, from)
		}
		from = change.Sequence
		if product := change.GetProduct(); product != nil {
			state[product.Name] = product.Etag
		} else {
			delete(state, change.GetDeleted())
		}
	}
	return from
}

func TestAFollowerThatResumesHasExactlyTheState(t *testing.T) {
	client := serve(t)
	const writers, writes = 4, 25
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			for number := range writes {
				id := fmt.Sprintf("w%d-%d", writer, number)
				create(t, client, id)
				if number%3 == 0 {
					_, err := client.DeleteProduct(t.Context(), &cataloguepb.DeleteProductRequest{Name: "products/" + id})
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	state := map[string]string{}
	at := follow(t, client, 0, 40, state)
	at = follow(t, client, at, 80, state)
	all.Wait()
	removed := (writes + 2) / 3
	last := int64(writers * (writes + removed))
	follow(t, client, at, last, state)
	if len(state) != writers*(writes-removed) {
		t.Errorf("%d products are followed", len(state))
	}
	for name, etag := range state {
		product, err := client.GetProduct(t.Context(), &cataloguepb.GetProductRequest{Name: name})
		if err != nil || product.Etag != etag {
			t.Errorf("%s: %v %v, followed %s", name, product.GetEtag(), err, etag)
		}
	}
}

func TestARevisionGoesOnWhenANameComesBack(t *testing.T) {
	client := serve(t)
	first := create(t, client, "a")
	if _, err := client.DeleteProduct(t.Context(), &cataloguepb.DeleteProductRequest{Name: first.Name}); err != nil {
		t.Fatal(err)
	}
	if again := create(t, client, "a"); first.Etag != `"r1"` || again.Etag != `"r2"` {
		t.Errorf("%s, then %s", first.Etag, again.Etag)
	}
}

func TestASlowFollowerIsCutNeverThinned(t *testing.T) {
	store, err := OpenStore(t.Context(), t.TempDir(), "none")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	slow := store.Follow()
	for number := range behindMost + 1 {
		product := kettle()
		product.Name = fmt.Sprintf("products/p-%d", number)
		if _, _, err := store.Create(t.Context(), product, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-slow.lagged:
	default:
		t.Error("it was not cut")
	}
	if len(slow.changes) != behindMost {
		t.Errorf("%d changes wait", len(slow.changes))
	}
}

// program is the real binary, built once.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "catalogue")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "catalogue")
	said, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// start runs the real binary and gives a client of it.
func start(t *testing.T, data string) (*exec.Cmd, cataloguepb.CatalogueClient) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, "--data", data)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	var ready struct{ Listen string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	return command, dial(t, ready.Listen)
}

func TestKillMinusNineLosesNoAcknowledgedWrite(t *testing.T) {
	data := t.TempDir()
	acknowledged := map[string]string{}
	for round := range 5 {
		command, client := start(t, data)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for number := 0; ; number++ {
				id := fmt.Sprintf("r%d-%d", round, number)
				product, err := client.CreateProduct(t.Context(), &cataloguepb.CreateProductRequest{ProductId: id, Product: kettle()})
				if err != nil {
					return
				}
				acknowledged[product.Name] = product.Etag
				if number == 20 {
					command.Process.Kill()
				}
			}
		}()
		<-ended
		command.Wait()
	}
	_, client := start(t, data)
	for name, etag := range acknowledged {
		product, err := client.GetProduct(t.Context(), &cataloguepb.GetProductRequest{Name: name})
		if err != nil || product.Etag != etag {
			t.Errorf("%s: %v %v", name, product.GetEtag(), err)
		}
	}
	if len(acknowledged) < 5*20 {
		t.Errorf("only %d writes", len(acknowledged))
	}
}

func TestSigtermEndsFollowersAndTheProcessWithZero(t *testing.T) {
	command, client := start(t, t.TempDir())
	stream, err := client.WatchProducts(t.Context(), &cataloguepb.WatchProductsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); errors.Is(err, io.EOF) || status.Code(err) != codes.Unavailable {
		t.Errorf("the follower heard %v", err)
	}
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
}

func TestAWrongCommandLineEndsWithTwo(t *testing.T) {
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{}, {"--data", "x", "--sync", "often"}, {"--nope"}, {"--data", "x", "more"}} {
		var exit *exec.ExitError
		said, err := exec.Command(path, words...).CombinedOutput()
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || len(said) == 0 {
			t.Errorf("%v: %v %s", words, err, said)
		}
	}
}

func TestAPriceIsWrittenForPeople(t *testing.T) {
	for _, check := range []struct {
		units int64
		nanos int32
		want  string
	}{
		{12, 500_000_000, "12.50 EUR"},
		{0, 0, "0.00 EUR"},
		{-1, -50_000_000, "-1.05 EUR"},
		{0, -1, "-0.000000001 EUR"},
		{3, 123_000_000, "3.123 EUR"},
	} {
		price := &money.Money{CurrencyCode: "EUR", Units: check.units, Nanos: check.nanos}
		if got := priceText(price); got != check.want {
			t.Errorf("%v: %s", check, got)
		}
	}
}
