package rpc

import (
	"cmp"
	"context"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
)

// GetBasket implements [cartv1.CartServiceServer].
func (s *service) GetBasket(ctx context.Context, req *cartv1.GetBasketRequest) (*cartv1.Basket, error) {
	owner, err := ownerOf(ctx, req.GetUserId(), req.GetCookie())
	q := cart.BasketQuery{Owner: owner, Status: cart.Active, Before: req.GetBefore()}
	if n := req.GetStatus(); n != cartv1.CartStatus_CART_STATUS_UNSPECIFIED {
		q.Status = cartStatus(n)
	}
	if err := cmp.Or(cart.Invalid(q.Validate(), err), s.unsent.check()); err != nil {
		return nil, err
	}
	b, err := s.carts.Basket(ctx, q)
	if err != nil {
		return nil, err
	}
	return basket(b), nil
}

// ChangeStatuses implements [cartv1.CartServiceServer].
func (s *service) ChangeStatuses(ctx context.Context, req *cartv1.ChangeStatusesRequest) (*cartv1.Basket, error) {
	joint := cart.SetStatuses{
		Status: cartStatus(req.GetStatus()), LockSeconds: int64(req.GetLockSeconds()), Reference: req.GetReference(),
	}
	merges, err := ifActive(req.GetIfActive(), joint.Status)
	joint.Merge = merges
	for _, c := range req.GetCarts() {
		joint.Carts = append(joint.Carts, cart.Expected{ID: c.GetId(), Version: c.GetVersion()})
	}
	r := cart.Request{Joint: joint, Key: req.GetIdempotencyKey()}
	if err := cmp.Or(cart.Invalid(r.Validate(), err), s.unsent.check()); err != nil {
		return nil, err
	}
	done, err := s.carts.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	b := basket(cart.BasketOf(done.Carts))
	b.Replayed = done.Replayed
	return b, nil
}

// MergeCarts implements [cartv1.CartServiceServer].
func (s *service) MergeCarts(ctx context.Context, req *cartv1.MergeCartsRequest) (*cartv1.MergeCartsResponse, error) {
	caller := auth.CallerOf(ctx)
	m := cart.Merge{
		UserID:    cmp.Or(req.GetUserId(), caller.Owner.UserID),
		Cookie:    cmp.Or(req.GetCookie(), caller.Cookie),
		Policy:    s.policy,
		CompanyID: req.GetCompanyId(),
	}
	if p := req.GetPolicy(); p != cartv1.MergePolicy_MERGE_POLICY_UNSPECIFIED {
		m.Policy = mergePolicy(p)
	}
	// Guests are refused in any case.
	if err := cmp.Or(m.Validate(), s.unsent.check()); err != nil && caller.Owner.Cookie == "" {
		return nil, err
	}
	merged, err := s.carts.Merge(ctx, m)
	if err != nil {
		return nil, err
	}
	resp := &cartv1.MergeCartsResponse{Basket: basket(merged.Basket), More: merged.More}
	for _, c := range merged.Carts {
		resp.Merged = append(resp.Merged, &cartv1.MergedCart{
			CompanyId: c.CompanyID, From: c.From, Into: c.Into, Result: cartv1.MergeResult(c.Result),
			Left: c.Left, Status: cartv1.CartStatus(c.Status),
		})
	}
	return resp, nil
}

// mergePolicy returns the policy with that number, or one that is not valid.
func mergePolicy(p cartv1.MergePolicy) cart.MergePolicy {
	if p < 0 || p > cartv1.MergePolicy_MERGE_POLICY_KEEP {
		return 0
	}
	return cart.MergePolicy(p)
}

// basket converts a basket for clients.
func basket(b *cart.Basket) *cartv1.Basket {
	m := &cartv1.Basket{UserId: b.Owner.UserID, Cookie: b.Owner.Cookie, More: b.More}
	if !b.Uncounted {
		m.CartsCount, m.ItemsCount, m.TotalAmount = &b.Count, &b.Lines, &b.Amount
	}
	for _, c := range b.Carts {
		m.Carts = append(m.Carts, message(c))
	}
	return m
}
