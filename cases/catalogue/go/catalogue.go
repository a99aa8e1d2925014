package main

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	"tandem.local/cases/catalogue/go/gen/recordpb"
	service "tandem.local/cases/service/go"
)

const (
	domain    = "catalogue.tandem"
	batch     = 500 // products or changes that are read at once for a stream
	namesMost = 100
)

// catalogue holds the methods of the contract over the store.
type catalogue struct {
	cataloguepb.UnimplementedCatalogueServer
	store     *Store
	stopping  context.Context // cancelled when the service is to end
	testClock bool
	team      team
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
	case errors.Is(err, errStockBelow):
		return service.Error(codes.FailedPrecondition, domain, "STOCK", err.Error())
	case errors.Is(err, errStockBeyond):
		return service.Error(codes.OutOfRange, domain, "STOCK", err.Error())
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

// invalid is nil without violations; else the refusal of a request that the store never saw.
func (c *catalogue) invalid(ctx context.Context, violations []service.Violation) error {
	if len(violations) == 0 {
		return nil
	}
	service.SetSequence(ctx, c.store.Last())
	return service.Invalid(domain, violations)
}

func (c *catalogue) CreateProduct(ctx context.Context, request *cataloguepb.CreateProductRequest) (*cataloguepb.Product, error) {
	var violations []service.Violation
	if !productIDs.MatchString(request.ProductId) {
		violations = append(violations, service.Violation{Field: "product_id", Reason: "PRODUCT_ID", Description: "must be [a-z0-9][a-z0-9-]{0,62}"})
	}
	violations = append(violations, checkProduct(request.Product, c.team.discountMost())...)
	if request.RequestId != "" && !requestIDs.MatchString(request.RequestId) {
		violations = append(violations, service.Violation{Field: "request_id", Reason: "REQUEST_ID", Description: "must be a UUID of version 4"})
	}
	if err := c.invalid(ctx, violations); err != nil {
		return nil, err
	}
	fingerprint, err := fingerprintOf(request)
	if err != nil {
		return nil, err
	}
	product := made("products/"+request.ProductId, request.Product, c.now(ctx))
	answer, sequence, err := c.store.Create(ctx, product, request.RequestId, fingerprint)
	if err != nil {
		return nil, refusal(ctx, sequence, err)
	}
	service.SetSequence(ctx, sequence)
	return answer, nil
}

// made is a new product: what was given, with what only the service writes.
func made(name string, given *cataloguepb.Product, now *timestamppb.Timestamp) *cataloguepb.Product {
	product := proto.CloneOf(given)
	product.Name = name
	product.PriceText = priceText(product.Price)
	product.CreateTime, product.UpdateTime = now, now
	if product.State == cataloguepb.Product_STATE_UNSPECIFIED {
		product.State = cataloguepb.Product_ACTIVE
	}
	return product
}

func (c *catalogue) GetProduct(ctx context.Context, request *cataloguepb.GetProductRequest) (*cataloguepb.Product, error) {
	mask := maskOf(request.GetReadMask().GetPaths())
	violations := append(checkName("name", request.Name), mask.check("read_mask", "READ_MASK")...)
	if err := c.invalid(ctx, violations); err != nil {
		return nil, err
	}
	products, last, err := c.store.Get(ctx, request.Name)
	if err != nil {
		return nil, refusal(ctx, last, err)
	}
	service.SetSequence(ctx, last)
	return mask.cut(c.team.shown(ctx, products)[0]), nil
}

func (c *catalogue) BatchGetProducts(ctx context.Context, request *cataloguepb.BatchGetProductsRequest) (*cataloguepb.BatchGetProductsResponse, error) {
	var violations []service.Violation
	if len(request.Names) < 1 || len(request.Names) > namesMost {
		violations = append(violations, service.Violation{Field: "names", Reason: "NAMES", Description: "must be 1 to 100"})
	}
	if wrong := slices.IndexFunc(request.Names, func(name string) bool { return checkName("names", name) != nil }); wrong >= 0 {
		violations = append(violations, checkName("names", request.Names[wrong])...)
	}
	if err := c.invalid(ctx, violations); err != nil {
		return nil, err
	}
	products, last, err := c.store.Get(ctx, request.Names...)
	if err != nil {
		return nil, refusal(ctx, last, err)
	}
	service.SetSequence(ctx, last)
	return &cataloguepb.BatchGetProductsResponse{Products: c.team.shown(ctx, products)}, nil
}

func (c *catalogue) ListProducts(ctx context.Context, request *cataloguepb.ListProductsRequest) (*cataloguepb.ListProductsResponse, error) {
	var violations []service.Violation
	refuse := func(field, reason, description string) {
		violations = append(violations, service.Violation{Field: field, Reason: reason, Description: description})
	}
	size := int(min(request.PageSize, pageSizeMost))
	if size < 0 {
		refuse("page_size", "PAGE_SIZE", "must not be negative")
	}
	if size == 0 {
		size = pageSizeDefault
	}
	what := selection{count: size + 1, hidden: c.team.hidden()} // one more says whether there is a next page
	arguments := argumentsOf(request)
	if request.PageToken != "" {
		after, fine := readToken(request.PageToken, arguments)
		if !fine {
			refuse("page_token", "PAGE_TOKEN", "is none of ours, or belongs to other arguments")
		}
		what.after = after
	}
	var err error
	if what.filter, err = parseFilter(request.Filter); err != nil {
		refuse("filter", "FILTER", err.Error())
	}
	var fine bool
	if what.order, fine = parseOrder(request.OrderBy); !fine {
		refuse("order_by", "ORDER_BY", "must be name, display_name, category, stock or price.units, with or without ` desc`")
	}
	mask := maskOf(request.GetReadMask().GetPaths())
	violations = append(violations, mask.check("read_mask", "READ_MASK")...)
	if err := c.invalid(ctx, violations); err != nil {
		return nil, err
	}
	products, last, err := c.store.List(ctx, what)
	if err != nil {
		return nil, refusal(ctx, last, err)
	}
	service.SetSequence(ctx, last)
	answer := &cataloguepb.ListProductsResponse{}
	if len(products) > size {
		products = products[:size]
		if answer.NextPageToken, err = tokenBehind(products[size-1], what.order, arguments); err != nil {
			return nil, err
		}
	}
	for _, product := range c.team.shown(ctx, products) {
		answer.Products = append(answer.Products, mask.cut(product))
	}
	return answer, nil
}

func (c *catalogue) UpdateProduct(ctx context.Context, request *cataloguepb.UpdateProductRequest) (*cataloguepb.Product, error) {
	given := request.GetProduct()
	mask := updateMask(request)
	violations := checkName("product.name", given.GetName())
	violations = append(violations, checkEtag("product.etag", given.GetEtag())...)
	violations = append(violations, mask.check("update_mask", "UPDATE_MASK")...)
	if err := c.invalid(ctx, violations); err != nil {
		return nil, err
	}
	now := c.now(ctx)
	edit := func(product *cataloguepb.Product) error {
		// A discount that stands may stay, whatever the team has lowered since.
		discountMost := max(c.team.discountMost(), product.DiscountPercent)
		mask.merge(product, given)
		if faults := checkProduct(product, discountMost); faults != nil {
			return violationsError(faults)
		}
		product.PriceText = priceText(product.Price)
		product.UpdateTime = now
		return nil
	}
	var missing func() (*cataloguepb.Product, error)
	if request.AllowMissing {
		missing = func() (*cataloguepb.Product, error) {
			if faults := checkProduct(given, c.team.discountMost()); faults != nil {
				return nil, violationsError(faults)
			}
			return made(given.Name, given, now), nil
		}
	}
	product, sequence, err := c.store.Update(ctx, given.Name, given.Etag, edit, missing)
	if err != nil {
		return nil, refusal(ctx, sequence, err)
	}
	service.SetSequence(ctx, sequence)
	return product, nil
}

func (c *catalogue) DeleteProduct(ctx context.Context, request *cataloguepb.DeleteProductRequest) (*emptypb.Empty, error) {
	violations := append(checkName("name", request.Name), checkEtag("etag", request.Etag)...)
	if err := c.invalid(ctx, violations); err != nil {
		return nil, err
	}
	sequence, err := c.store.Delete(ctx, request.Name, request.Etag)
	if err != nil {
		return nil, refusal(ctx, sequence, err)
	}
	service.SetSequence(ctx, sequence)
	return &emptypb.Empty{}, nil
}

var (
	errStockBelow  = errors.New("the stock would be below 0")
	errStockBeyond = errors.New("the stock would be beyond an int64")
)

func (c *catalogue) AdjustStock(ctx context.Context, request *cataloguepb.AdjustStockRequest) (*cataloguepb.Product, error) {
	if err := c.invalid(ctx, checkName("name", request.Name)); err != nil {
		return nil, err
	}
	now := c.now(ctx)
	product, sequence, err := c.store.Update(ctx, request.Name, "", func(product *cataloguepb.Product) error {
		switch {
		case request.Delta > math.MaxInt64-product.Stock:
			return errStockBeyond
		case product.Stock+request.Delta < 0:
			return errStockBelow
		}
		product.Stock += request.Delta
		product.UpdateTime = now
		return nil
	}, nil)
	if err != nil {
		return nil, refusal(ctx, sequence, err)
	}
	service.SetSequence(ctx, sequence)
	return product, nil
}

func (c *catalogue) ExportProducts(_ *cataloguepb.ExportProductsRequest, stream cataloguepb.Catalogue_ExportProductsServer) error {
	return c.eachProduct(stream.Context(), stream.Send)
}

// eachProduct gives every product in the order of names, part by part: a caller who reads slowly
// holds no transaction open.
func (c *catalogue) eachProduct(ctx context.Context, give func(*cataloguepb.Product) error) error {
	what := selection{count: batch}
	for {
		products, _, err := c.store.List(ctx, what)
		if err != nil {
			return refusal(ctx, 0, err)
		}
		for _, product := range products {
			if err := give(product); err != nil {
				return err
			}
		}
		if len(products) < batch {
			return nil
		}
		what.after = &recordpb.PageToken{Name: products[batch-1].Name}
	}
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
			found, err := c.store.Past(ctx, from, batch)
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
