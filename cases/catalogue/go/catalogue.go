package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	service "tandem.local/cases/service/go"
	"tandem.local/cases/service/go/gen/adminpb"
)

const (
	domain    = "catalogue.tandem"
	pastBatch = 500 // changes that are read of the past at once
)

// catalogue holds the methods of the contract over the store.
type catalogue struct {
	cataloguepb.UnimplementedCatalogueServer
	store     *Store
	stopping  context.Context // cancelled when the service is to end
	testClock bool
}

// refusal notes the sequence and turns an error of the store into one of the contract.
func refusal(ctx context.Context, sequence int64, err error) error {
	service.SetSequence(ctx, sequence)
	var violations violationsError
	switch {
	case errors.As(err, &violations):
		return service.Invalid(domain, violations)
	case errors.Is(err, errUnknown):
		return service.Error(codes.NotFound, domain, "UNKNOWN_PRODUCT", err.Error())
	case errors.Is(err, errExists):
		return service.Error(codes.AlreadyExists, domain, "EXISTS", err.Error())
	case errors.Is(err, errStale):
		return service.Error(codes.Aborted, domain, "ETAG", "the product has changed since; read it again")
	case errors.Is(err, errOtherRequest):
		return service.Invalid(domain, []service.Violation{{Field: "request_id", Reason: "REQUEST_ID", Description: "belongs to another request"}})
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		slog.Error("the store failed", "error", err)
		return service.Error(codes.Internal, domain, "STORE", "the store failed")
	}
}

// violationsError carries faults of fields out of a transaction.
type violationsError []service.Violation

func (violationsError) Error() string { return "invalid fields" }

func (c *catalogue) now(ctx context.Context) *timestamppb.Timestamp {
	if c.testClock {
		given := metadata.ValueFromIncomingContext(ctx, "x-tandem-now")
		if len(given) > 0 {
			if parsed, err := time.Parse(time.RFC3339Nano, given[0]); err == nil {
				return timestamppb.New(parsed)
			}
		}
	}
	return timestamppb.Now()
}

func (c *catalogue) CreateProduct(ctx context.Context, request *cataloguepb.CreateProductRequest) (*cataloguepb.Product, error) {
	var violations []service.Violation
	if !productIDs.MatchString(request.ProductId) {
		violations = append(violations, service.Violation{Field: "product_id", Reason: "PRODUCT_ID", Description: "must be [a-z0-9][a-z0-9-]{0,62}"})
	}
	violations = append(violations, checkProduct(request.Product)...)
	if request.RequestId != "" && !requestIDs.MatchString(request.RequestId) {
		violations = append(violations, service.Violation{Field: "request_id", Reason: "REQUEST_ID", Description: "must be a UUID of version 4"})
	}
	if err := service.Invalid(domain, violations); err != nil {
		return nil, err
	}
	// What the id stands for: the request without it.
	fingerprint, err := proto.MarshalOptions{Deterministic: true}.Marshal(
		&cataloguepb.CreateProductRequest{ProductId: request.ProductId, Product: request.Product})
	if err != nil {
		return nil, err
	}
	product := proto.CloneOf(request.Product)
	now := c.now(ctx)
	product.Name = "products/" + request.ProductId
	product.PriceText = priceText(product.Price)
	product.CreateTime, product.UpdateTime = now, now
	if product.State == cataloguepb.Product_STATE_UNSPECIFIED {
		product.State = cataloguepb.Product_ACTIVE
	}
	answer, sequence, err := c.store.Create(ctx, product, request.RequestId, fingerprint)
	if err != nil {
		return nil, refusal(ctx, sequence, err)
	}
	service.SetSequence(ctx, sequence)
	return answer, nil
}

func (c *catalogue) GetProduct(ctx context.Context, request *cataloguepb.GetProductRequest) (*cataloguepb.Product, error) {
	if err := service.Invalid(domain, checkName(request.Name)); err != nil {
		return nil, err
	}
	products, last, err := c.store.Get(ctx, request.Name)
	if err != nil {
		return nil, refusal(ctx, last, err)
	}
	service.SetSequence(ctx, last)
	return products[0], nil
}

func (c *catalogue) BatchGetProducts(ctx context.Context, request *cataloguepb.BatchGetProductsRequest) (*cataloguepb.BatchGetProductsResponse, error) {
	var violations []service.Violation
	if len(request.Names) < 1 || len(request.Names) > 100 {
		violations = append(violations, service.Violation{Field: "names", Reason: "NAMES", Description: "must be 1 to 100"})
	}
	for _, name := range request.Names {
		if faults := checkName(name); faults != nil {
			violations = append(violations, faults...)
			break
		}
	}
	if err := service.Invalid(domain, violations); err != nil {
		return nil, err
	}
	products, last, err := c.store.Get(ctx, request.Names...)
	if err != nil {
		return nil, refusal(ctx, last, err)
	}
	service.SetSequence(ctx, last)
	return &cataloguepb.BatchGetProductsResponse{Products: products}, nil
}

func (c *catalogue) ListProducts(ctx context.Context, request *cataloguepb.ListProductsRequest) (*cataloguepb.ListProductsResponse, error) {
	count := int(min(request.PageSize, 1000))
	if count < 0 {
		return nil, service.Invalid(domain, []service.Violation{{Field: "page_size", Reason: "PAGE_SIZE", Description: "must not be negative"}})
	}
	if count == 0 {
		count = 25
	}
	after := ""
	if request.PageToken != "" {
		last, fine := readToken(request.PageToken, request.PageSize)
		if !fine {
			return nil, service.Invalid(domain, []service.Violation{{Field: "page_token", Reason: "PAGE_TOKEN", Description: "is none of ours, or belongs to other arguments"}})
		}
		after = last
	}
	products, last, err := c.store.List(ctx, after, count+1)
	if err != nil {
		return nil, refusal(ctx, last, err)
	}
	service.SetSequence(ctx, last)
	answer := &cataloguepb.ListProductsResponse{Products: products}
	if len(products) > count {
		answer.Products = products[:count]
		answer.NextPageToken = writeToken(products[count-1].Name, request.PageSize)
	}
	return answer, nil
}

func (c *catalogue) UpdateProduct(ctx context.Context, request *cataloguepb.UpdateProductRequest) (*cataloguepb.Product, error) {
	given := request.GetProduct()
	paths := request.GetUpdateMask().GetPaths()
	whole := len(paths) == 0 || (len(paths) == 1 && paths[0] == "*")
	violations := checkName(given.GetName())
	if !whole {
		violations = append(violations, checkMask(paths)...)
	}
	violations = append(violations, checkEtag("product.etag", given.GetEtag())...)
	if err := service.Invalid(domain, violations); err != nil {
		return nil, err
	}
	named := make(map[string]bool, len(paths))
	for _, path := range paths {
		named[path] = true
	}
	now := c.now(ctx)
	product, sequence, err := c.store.Update(ctx, given.Name, given.Etag, func(product *cataloguepb.Product) error {
		merge(product, given, func(path string) bool { return whole || named[path] })
		if faults := checkProduct(product); faults != nil {
			return violationsError(faults)
		}
		product.PriceText = priceText(product.Price)
		product.UpdateTime = now
		return nil
	})
	if err != nil {
		return nil, refusal(ctx, sequence, err)
	}
	service.SetSequence(ctx, sequence)
	return product, nil
}

// merge takes the named fields of given over into product.
func merge(product, given *cataloguepb.Product, named func(string) bool) {
	if named("display_name") {
		product.DisplayName = given.DisplayName
	}
	if named("description") {
		product.Description = given.Description
	}
	if named("category") {
		product.Category = given.Category
	}
	if named("price") {
		product.Price = given.Price
	} else {
		if product.Price == nil {
			product.Price = &money.Money{}
		}
		if named("price.currency_code") {
			product.Price.CurrencyCode = given.GetPrice().GetCurrencyCode()
		}
		if named("price.units") {
			product.Price.Units = given.GetPrice().GetUnits()
		}
		if named("price.nanos") {
			product.Price.Nanos = given.GetPrice().GetNanos()
		}
	}
	if named("stock") {
		product.Stock = given.Stock
	}
	if named("labels") {
		product.Labels = given.Labels
	}
	if named("state") {
		product.State = given.State
		if product.State == cataloguepb.Product_STATE_UNSPECIFIED {
			product.State = cataloguepb.Product_ACTIVE
		}
	}
}

func (c *catalogue) DeleteProduct(ctx context.Context, request *cataloguepb.DeleteProductRequest) (*emptypb.Empty, error) {
	violations := append(checkName(request.Name), checkEtag("etag", request.Etag)...)
	if err := service.Invalid(domain, violations); err != nil {
		return nil, err
	}
	sequence, err := c.store.Delete(ctx, request.Name, request.Etag)
	if err != nil {
		return nil, refusal(ctx, sequence, err)
	}
	service.SetSequence(ctx, sequence)
	return &emptypb.Empty{}, nil
}

func (c *catalogue) WatchProducts(request *cataloguepb.WatchProductsRequest, stream cataloguepb.Catalogue_WatchProductsServer) error {
	ctx := stream.Context()
	from := request.FromSequence
	if from < 0 {
		return service.Invalid(domain, []service.Violation{{Field: "from_sequence", Reason: "FROM_SEQUENCE", Description: "must not be negative"}})
	}
	found, err := c.store.Past(ctx, from, 0)
	switch {
	case err != nil:
		return refusal(ctx, 0, err)
	case from > found.last:
		return service.Error(codes.OutOfRange, domain, "AHEAD", "that sequence is not reached yet; begin at 0")
	case from > 0 && from < found.pruned:
		return service.Error(codes.OutOfRange, domain, "TOO_OLD", "removals since then are forgotten; begin at 0 with an empty state")
	}
	// The head goes out at once, so that a follower knows that the stream stands.
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	sendPast := func() error {
		for {
			found, err := c.store.Past(ctx, from, pastBatch)
			if err != nil {
				return refusal(ctx, 0, err)
			}
			if len(found.changes) == 0 {
				return nil
			}
			for _, change := range found.changes {
				from = change.Sequence
				if err := stream.Send(change); err != nil {
					return err
				}
			}
		}
	}
	if err := sendPast(); err != nil {
		return err
	}
	// Listen first, then look once more: nothing can fall between.
	live := c.store.Follow()
	defer c.store.Unfollow(live)
	if err := sendPast(); err != nil {
		return err
	}
	for {
		select {
		case change := <-live.changes:
			if change.Sequence <= from {
				continue
			}
			from = change.Sequence
			if err := stream.Send(change); err != nil {
				return err
			}
		case <-live.lagged:
			return service.Error(codes.ResourceExhausted, domain, "LAGGED", "the follower is too far behind; resume from its last sequence")
		case <-c.stopping.Done():
			return service.Error(codes.Unavailable, domain, "STOPPING", "the service is stopping")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func tokenCheck(pageSize int32) []byte {
	sum := crc32.Checksum([]byte(strconv.Itoa(int(pageSize))), castagnoli)
	return binary.BigEndian.AppendUint32(nil, sum)
}

// writeToken is base64url of the last name with its length, then CRC-32C of the page size as it
// was asked.
func writeToken(last string, pageSize int32) string {
	token := binary.AppendUvarint(nil, uint64(len(last)))
	token = append(token, last...)
	token = append(token, tokenCheck(pageSize)...)
	return base64.RawURLEncoding.EncodeToString(token)
}

func readToken(token string, pageSize int32) (string, bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", false
	}
	length, read := binary.Uvarint(raw)
	if read <= 0 || length > uint64(len(raw)-read) {
		return "", false
	}
	last, check := raw[read:read+int(length)], raw[read+int(length):]
	return string(last), string(check) == string(tokenCheck(pageSize))
}

// administration is the CaseAdmin of the catalogue.
type administration struct {
	adminpb.UnimplementedCaseAdminServer
	store *Store
}

func (a *administration) StateDigest(ctx context.Context, _ *adminpb.StateDigestRequest) (*adminpb.StateDigestResponse, error) {
	records, sequence, err := a.store.Records(ctx)
	if err != nil {
		return nil, err
	}
	digest, err := service.Digest(records)
	if err != nil {
		return nil, err
	}
	return &adminpb.StateDigestResponse{Sha256: digest, Sequence: sequence, Count: int64(len(records))}, nil
}
