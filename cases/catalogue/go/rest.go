package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
)

const bodyBytesMost = 4 << 20

// rest is the plain REST face: the same methods with net/http, without gRPC or a gateway in front.
// WatchProducts is followed by services, by gRPC, and is not here.
type rest struct {
	catalogue *catalogue
}

func (c *catalogue) rest() http.Handler {
	r := rest{catalogue: c}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/products", handler(r.create))
	mux.HandleFunc("GET /v1/products", handler(r.list))
	mux.HandleFunc("GET /v1/products:batchGet", handler(r.batch))
	mux.HandleFunc("GET /v1/products:export", r.export)
	mux.HandleFunc("GET /v1/products/{id}", handler(r.get))
	mux.HandleFunc("PATCH /v1/products/{id}", handler(r.update))
	mux.HandleFunc("DELETE /v1/products/{id}", handler(r.delete))
	// A pattern has no verbs: the segment is taken whole.
	mux.HandleFunc("POST /v1/products/{idAndVerb}", handler(r.adjust))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, status.Error(codes.Unimplemented, "there is no such path"), http.StatusNotFound)
	})
	return mux
}

// handler answers with a message or with a refusal.
func handler(handle func(context.Context, *http.Request) (proto.Message, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		message, err := handle(incoming(r), r)
		if err != nil {
			refuse(w, err, 0)
			return
		}
		body, err := protojson.Marshal(message)
		if err != nil {
			refuse(w, err, 0)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // a caller that has left needs no answer
	}
}

// incoming carries the headers that the methods read as metadata.
func incoming(r *http.Request) context.Context {
	return metadata.NewIncomingContext(r.Context(), metadata.Pairs(
		"x-tandem-now", r.Header.Get("x-tandem-now"),
		"x-tandem-principal", r.Header.Get("x-tandem-principal")))
}

// httpStatuses are those of google/rpc/code.proto.
var httpStatuses = map[codes.Code]int{
	codes.Canceled: 499, codes.Unknown: 500, codes.InvalidArgument: 400, codes.DeadlineExceeded: 504,
	codes.NotFound: 404, codes.AlreadyExists: 409, codes.PermissionDenied: 403,
	codes.ResourceExhausted: 429, codes.FailedPrecondition: 400, codes.Aborted: 409,
	codes.OutOfRange: 400, codes.Unimplemented: 501, codes.Internal: 500, codes.Unavailable: 503,
	codes.DataLoss: 500, codes.Unauthenticated: 401,
}

// refuse writes an error as google.rpc.Status; number is its HTTP status where its code does not say.
func refuse(w http.ResponseWriter, err error, number int) {
	said := status.Convert(err)
	if number == 0 {
		number = httpStatuses[said.Code()]
	}
	body, err := protojson.Marshal(said.Proto())
	if err != nil {
		slog.Error("an error cannot be told", "error", err)
		number, body = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(number)
	_, _ = w.Write(body) // a caller that has left needs no answer
}

func invalidf(format string, values ...any) error {
	return status.Errorf(codes.InvalidArgument, format, values...)
}

func (f rest) create(ctx context.Context, r *http.Request) (proto.Message, error) {
	request := &cataloguepb.CreateProductRequest{Product: &cataloguepb.Product{}}
	query, err := queryOf(r, "product_id", "request_id")
	if err != nil {
		return nil, err
	}
	if _, err := readBody(r, request.Product); err != nil {
		return nil, err
	}
	request.ProductId, request.RequestId = query.Get("product_id"), query.Get("request_id")
	return f.catalogue.CreateProduct(ctx, request)
}

func (f rest) get(ctx context.Context, r *http.Request) (proto.Message, error) {
	query, err := queryOf(r, "read_mask")
	if err != nil {
		return nil, err
	}
	return f.catalogue.GetProduct(ctx, &cataloguepb.GetProductRequest{
		Name:     "products/" + r.PathValue("id"),
		ReadMask: maskIn(query, "read_mask"),
	})
}

func (f rest) list(ctx context.Context, r *http.Request) (proto.Message, error) {
	query, err := queryOf(r, "page_size", "page_token", "filter", "order_by", "read_mask")
	if err != nil {
		return nil, err
	}
	request := &cataloguepb.ListProductsRequest{
		PageToken: query.Get("page_token"),
		Filter:    query.Get("filter"),
		OrderBy:   query.Get("order_by"),
		ReadMask:  maskIn(query, "read_mask"),
	}
	if query.Has("page_size") {
		size, err := strconv.ParseInt(query.Get("page_size"), 10, 32)
		if err != nil {
			return nil, invalidf("page_size: %v", err)
		}
		request.PageSize = int32(size)
	}
	return f.catalogue.ListProducts(ctx, request)
}

func (f rest) batch(ctx context.Context, r *http.Request) (proto.Message, error) {
	query, err := queryOf(r, "names")
	if err != nil {
		return nil, err
	}
	return f.catalogue.BatchGetProducts(ctx, &cataloguepb.BatchGetProductsRequest{Names: query["names"]})
}

func (f rest) update(ctx context.Context, r *http.Request) (proto.Message, error) {
	query, err := queryOf(r, "update_mask", "allow_missing")
	if err != nil {
		return nil, err
	}
	request := &cataloguepb.UpdateProductRequest{Product: &cataloguepb.Product{}}
	body, err := readBody(r, request.Product)
	if err != nil {
		return nil, err
	}
	name := "products/" + r.PathValue("id")
	if request.Product.Name != "" && request.Product.Name != name {
		return nil, invalidf("name: the path says %q", name)
	}
	request.Product.Name = name
	if query.Has("allow_missing") {
		if request.AllowMissing, err = boolOf(query.Get("allow_missing")); err != nil {
			return nil, err
		}
	}
	if request.UpdateMask = maskIn(query, "update_mask"); request.UpdateMask == nil {
		if request.UpdateMask, err = maskOfBody(body); err != nil {
			return nil, err
		}
	}
	return f.catalogue.UpdateProduct(ctx, request)
}

func (f rest) delete(ctx context.Context, r *http.Request) (proto.Message, error) {
	query, err := queryOf(r, "etag")
	if err != nil {
		return nil, err
	}
	return f.catalogue.DeleteProduct(ctx, &cataloguepb.DeleteProductRequest{
		Name: "products/" + r.PathValue("id"),
		Etag: query.Get("etag"),
	})
}

func (f rest) adjust(ctx context.Context, r *http.Request) (proto.Message, error) {
	id, found := strings.CutSuffix(r.PathValue("idAndVerb"), ":adjustStock")
	if !found {
		return nil, status.Error(codes.Unimplemented, "there is no such path")
	}
	if _, err := queryOf(r); err != nil {
		return nil, err
	}
	request := &cataloguepb.AdjustStockRequest{}
	if _, err := readBody(r, request); err != nil {
		return nil, err
	}
	name := "products/" + id
	if request.Name != "" && request.Name != name {
		return nil, invalidf("name: the path says %q", name)
	}
	request.Name = name
	return f.catalogue.AdjustStock(ctx, request)
}

// export writes a list, product by product.
func (f rest) export(w http.ResponseWriter, r *http.Request) {
	if _, err := queryOf(r); err != nil {
		refuse(w, err, 0)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	before := "["
	err := f.catalogue.eachProduct(r.Context(), func(product *cataloguepb.Product) error {
		body, err := protojson.Marshal(product)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, before+string(body))
		before = ","
		return err
	})
	if err != nil {
		// What has begun cannot be refused any more; the list must not look complete.
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, strings.TrimPrefix(before, ",")+"]") // as above
}

// queryOf reads the parameters that are known, by either of their names; each but names once.
func queryOf(r *http.Request, known ...string) (url.Values, error) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidf("query: %v", err)
	}
	query := url.Values{}
	for key, values := range given {
		name := snake(key)
		if !slices.Contains(known, name) {
			return nil, invalidf("%s: no such parameter", key)
		}
		if name != "names" && (len(values) > 1 || query.Has(name)) {
			return nil, invalidf("%s: stands twice", key)
		}
		query[name] = append(query[name], values...)
	}
	return query, nil
}

func boolOf(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, invalidf("%q is neither true nor false", text)
}

// readBody reads a message and gives the JSON that it was.
func readBody(r *http.Request, message proto.Message) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, bodyBytesMost))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, status.Error(codes.ResourceExhausted, "the body is too long")
	case err != nil:
		return nil, err
	case len(body) == 0:
		return nil, nil
	}
	if err := protojson.Unmarshal(body, message); err != nil {
		return nil, invalidf("body: %v", err)
	}
	return body, nil
}

// maskIn reads a mask as JSON has it, or by the names of the contract; nil where there is none.
func maskIn(query url.Values, name string) *fieldmaskpb.FieldMask {
	if !query.Has(name) {
		return nil
	}
	mask := &fieldmaskpb.FieldMask{}
	for path := range strings.SplitSeq(query.Get(name), ",") {
		mask.Paths = append(mask.Paths, snake(path))
	}
	return mask
}

// maskOfBody names what a body says: an update without a mask changes that, also to nothing.
func maskOfBody(body []byte) (*fieldmaskpb.FieldMask, error) {
	mask := &fieldmaskpb.FieldMask{}
	if len(body) == 0 {
		return mask, nil
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(body, &keys); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	for key, value := range keys {
		path := snake(key)
		var parts map[string]json.RawMessage
		if path == "price" && json.Unmarshal(value, &parts) == nil && len(parts) > 0 {
			for part := range parts {
				mask.Paths = append(mask.Paths, path+"."+snake(part))
			}
			continue
		}
		mask.Paths = append(mask.Paths, path)
	}
	return mask, nil
}

// snake is the contract's name for a name of JSON.
func snake(camel string) string {
	var name strings.Builder
	for _, sign := range camel {
		if sign >= 'A' && sign <= 'Z' {
			name.WriteByte('_')
			sign += 'a' - 'A'
		}
		name.WriteRune(sign)
	}
	return name.String()
}
