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
}

// UpsertCart implements [cartv1.CartServiceServer].
func (s *service) UpsertCart(ctx context.Context, req *cartv1.UpsertCartRequest) (*cartv1.CartResponse, error) {
	owner, err := ownerOf(ctx, req.GetUserId(), req.GetCookie())
	return s.do(ctx, cart.Upsert{CompanyID: req.GetCompanyId(), Owner: owner}, err)
}

// AddItem implements [cartv1.CartServiceServer].
func (s *service) AddItem(ctx context.Context, req *cartv1.AddItemRequest) (*cartv1.CartResponse, error) {
	owner, badOwner := ownerOf(ctx, req.GetUserId(), req.GetCookie())
	item, badItem := itemOf(req)
	return s.do(ctx, cart.AddItem{CompanyID: req.GetCompanyId(), Owner: owner, Item: item}, badOwner, badItem)
}

// UpsertItem implements [cartv1.CartServiceServer].
func (s *service) UpsertItem(ctx context.Context, req *cartv1.UpsertItemRequest) (*cartv1.CartResponse, error) {
	item, err := itemOf(req)
	return s.do(ctx, cart.PutItem{CartID: req.GetCartId(), Item: item}, err)
}

// UpdateQty implements [cartv1.CartServiceServer].
func (s *service) UpdateQty(ctx context.Context, req *cartv1.UpdateQtyRequest) (*cartv1.CartResponse, error) {
	return s.do(ctx, cart.SetQuantity{
		CartID:    req.GetCartId(),
		ProductID: req.GetProductId(),
		Quantity:  int64(req.GetQuantity()),
	})
}

// RemoveItem implements [cartv1.CartServiceServer].
func (s *service) RemoveItem(ctx context.Context, req *cartv1.RemoveItemRequest) (*cartv1.CartResponse, error) {
	return s.do(ctx, cart.RemoveItem{CartID: req.GetCartId(), ProductID: req.GetProductId()})
}

// ChangeStatus implements [cartv1.CartServiceServer].
func (s *service) ChangeStatus(ctx context.Context, req *cartv1.ChangeStatusRequest) (*cartv1.CartResponse, error) {
	return s.do(ctx, cart.SetStatus{CartID: req.GetCartId(), Status: cartStatus(req.GetStatus())})
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

// do runs the command, unless it is invalid or found has an error.
func (s *service) do(ctx context.Context, cmd cart.Command, found ...error) (*cartv1.CartResponse, error) {
	if err := cart.Invalid(append(found, cmd.Validate())...); err != nil {
		return nil, err
	}
	done, err := s.carts.Do(ctx, cart.Do(cmd))
	return response(done.Cart, err)
}
