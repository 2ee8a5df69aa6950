package rpc

import (
	"cmp"
	"context"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

// service implements CartService. It returns errors of the domain; the server converts them to statuses.
type service struct {
	cartv1.UnsafeCartServiceServer // so that a method without an implementation does not compile

	carts  cart.Service
	unsent *unsent
	policy cart.MergePolicy // of merges that name none
}

// UpsertCart implements [cartv1.CartServiceServer].
func (s *service) UpsertCart(ctx context.Context, req *cartv1.UpsertCartRequest) (*cartv1.CartResponse, error) {
	owner, err := ownerOf(ctx, req.GetUserId(), req.GetCookie())
	r := cart.Do(cart.Upsert{CompanyID: req.GetCompanyId(), Owner: owner})
	return s.do(ctx, &r, req.GetIdempotencyKey(), err, matchTag(&r, req.GetIfMatch()))
}

// AddItem implements [cartv1.CartServiceServer].
func (s *service) AddItem(ctx context.Context, req *cartv1.AddItemRequest) (*cartv1.CartResponse, error) {
	owner, badOwner := ownerOf(ctx, req.GetUserId(), req.GetCookie())
	item, badItem := itemOf(req)
	add, badPresent := ifPresent(req.GetIfPresent())
	r := cart.Do(cart.AddItem{
		CompanyID: req.GetCompanyId(), Owner: owner, Item: item, Add: add, Attributes: attributesOf(req.GetAttributes()),
	})
	return s.do(ctx, &r, req.GetIdempotencyKey(), badOwner, badItem, badPresent, matchTag(&r, req.GetIfMatch()))
}

// UpsertItem implements [cartv1.CartServiceServer].
func (s *service) UpsertItem(ctx context.Context, req *cartv1.UpsertItemRequest) (*cartv1.CartResponse, error) {
	item, badItem := itemOf(req)
	add, badPresent := ifPresent(req.GetIfPresent())
	r := cart.Do(cart.PutItem{CartID: req.GetCartId(), Item: item, Add: add, Attributes: attributesOf(req.GetAttributes())})
	return s.do(ctx, &r, req.GetIdempotencyKey(), badItem, badPresent, matchVersion(&r, req.GetExpectedVersion()))
}

// UpdateQty implements [cartv1.CartServiceServer].
func (s *service) UpdateQty(ctx context.Context, req *cartv1.UpdateQtyRequest) (*cartv1.CartResponse, error) {
	r := cart.Do(cart.SetQuantity{
		CartID:    req.GetCartId(),
		ProductID: req.GetProductId(),
		Quantity:  int64(req.GetQuantity()),
	})
	return s.do(ctx, &r, req.GetIdempotencyKey(), matchVersion(&r, req.GetExpectedVersion()))
}

// ChangeQty implements [cartv1.CartServiceServer].
func (s *service) ChangeQty(ctx context.Context, req *cartv1.ChangeQtyRequest) (*cartv1.CartResponse, error) {
	r := cart.Do(cart.ChangeQuantity{CartID: req.GetCartId(), ProductID: req.GetProductId(), By: int64(req.GetBy())})
	return s.do(ctx, &r, req.GetIdempotencyKey(), matchVersion(&r, req.GetExpectedVersion()))
}

// RemoveItem implements [cartv1.CartServiceServer].
func (s *service) RemoveItem(ctx context.Context, req *cartv1.RemoveItemRequest) (*cartv1.CartResponse, error) {
	r := cart.Do(cart.RemoveItem{CartID: req.GetCartId(), ProductID: req.GetProductId()})
	return s.do(ctx, &r, req.GetIdempotencyKey(), matchVersion(&r, req.GetExpectedVersion()))
}

// ChangeItems implements [cartv1.CartServiceServer].
func (s *service) ChangeItems(ctx context.Context, req *cartv1.ChangeItemsRequest) (*cartv1.CartResponse, error) {
	cmd := cart.ChangeItems{CartID: req.GetCartId(), Attributes: attributesOf(req.GetAttributes())}
	var badOwner, badChanges, badVersion, badTag error
	cmd.Changes, badChanges = changesOf(req.GetChanges())
	r := cart.Request{}
	if cmd.CartID != 0 {
		badVersion = matchVersion(&r, req.GetExpectedVersion())
		badTag = refused("if_match", req.GetIfMatch() != "")
	} else {
		cmd.CompanyID = req.GetCompanyId()
		cmd.Owner, badOwner = ownerOf(ctx, req.GetUserId(), req.GetCookie())
		badTag = matchTag(&r, req.GetIfMatch())
		badVersion = refused("expected_version", req.GetExpectedVersion() != 0)
	}
	if r.Match != nil && cmd.CartID != 0 {
		r.Match.Tags[0].ID = cmd.CartID
	}
	r.Command = cmd
	return s.do(ctx, &r, req.GetIdempotencyKey(), badOwner, badChanges, badVersion, badTag)
}

// ChangeStatus implements [cartv1.CartServiceServer].
func (s *service) ChangeStatus(ctx context.Context, req *cartv1.ChangeStatusRequest) (*cartv1.CartResponse, error) {
	plain := cart.SetStatus{
		CartID: req.GetCartId(), Status: cartStatus(req.GetStatus()), LockSeconds: int64(req.GetLockSeconds()), Reference: req.GetReference(),
	}
	merges, err := ifActive(req.GetIfActive(), plain.Status)
	r := cart.Do(plain)
	badVersion := matchVersion(&r, req.GetExpectedVersion())
	if err = cart.Invalid(plain.Validate(), err); merges && err == nil {
		r.Command, r.Joint = nil, cart.SetStatuses{
			Carts: []cart.Expected{{ID: plain.CartID}}, Status: plain.Status, Merge: true, Alone: true,
		}
	}
	if err != nil {
		return nil, cart.Invalid(err, badVersion)
	}
	return s.do(ctx, &r, req.GetIdempotencyKey(), badVersion)
}

// GetCart implements [cartv1.CartServiceServer].
func (s *service) GetCart(ctx context.Context, req *cartv1.GetCartRequest) (*cartv1.CartResponse, error) {
	if req.GetCartId() <= 0 {
		return nil, cart.InvalidField("cart_id")
	}
	return response(s.carts.Get(ctx, cart.ByID(req.GetCartId())))
}

// GetActiveCart implements [cartv1.CartServiceServer].
func (s *service) GetActiveCart(ctx context.Context, req *cartv1.GetActiveCartRequest) (*cartv1.CartResponse, error) {
	owner, err := ownerOf(ctx, req.GetUserId(), req.GetCookie())
	// An upsert names its cart in the same way, with the same limits.
	named := cart.Upsert{CompanyID: req.GetCompanyId(), Owner: owner}
	if err := cart.Invalid(named.Validate(), err); err != nil {
		return nil, err
	}
	return response(s.carts.Get(ctx, named.Ref()))
}

// ListByUser implements [cartv1.CartServiceServer].
func (s *service) ListByUser(ctx context.Context, req *cartv1.ListByUserRequest) (*cartv1.CartList, error) {
	l := cart.Listing{
		UserID:    req.GetUserId(),
		CompanyID: req.GetCompanyId(),
		Status:    cartStatus(req.GetStatus()),
		Limit:     int64(req.GetLimit()),
		Offset:    int64(req.GetOffset()),
	}
	if l.Limit == 0 {
		l.Limit = cart.DefaultListing
	}
	if err := cmp.Or(l.Validate(), s.unsent.check()); err != nil {
		return nil, err
	}
	return list(s.carts.List(ctx, l))
}

// ListByIds implements [cartv1.CartServiceServer].
func (s *service) ListByIds(ctx context.Context, req *cartv1.ListByIdsRequest) (*cartv1.CartList, error) { //nolint:revive // generated name
	ids := req.GetIds()
	if err := cmp.Or(cart.CheckIDs(ids), s.unsent.check()); err != nil {
		return nil, err
	}
	return list(s.carts.GetMany(ctx, ids))
}

// do runs the request, which is about one cart, unless it is invalid or found has an error.
func (s *service) do(ctx context.Context, r *cart.Request, key string, found ...error) (*cartv1.CartResponse, error) {
	r.Key = key
	if err := cart.Invalid(append(found, r.Validate())...); err != nil {
		return nil, err
	}
	done, err := s.carts.Do(ctx, *r)
	if err != nil {
		return nil, err
	}
	if len(done.Carts) > 0 {
		done.Cart = done.Carts[0]
	}
	return &cartv1.CartResponse{Cart: message(done.Cart), Replayed: done.Replayed}, nil
}
