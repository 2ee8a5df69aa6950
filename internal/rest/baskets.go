package rest

import (
	"context"
	"time"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

func (h *handler) GetBasket(ctx context.Context, p oas.GetBasketParams) (oas.GetBasketRes, error) {
	q := basketQuery(p)
	v := visitOf(ctx)
	if q.Owner.IsNobody() {
		q.Owner = self(ctx)
	}
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if v.fresh != "" && q.Owner == cart.Guest(v.fresh) { // a new guest has no carts
		v.keepGuest(q.Owner)
		empty := cart.BasketOf(nil)
		empty.Owner = q.Owner
		return basketAnswer(empty), nil
	}
	b, err := h.carts.Basket(ctx, q)
	if err != nil {
		return nil, err
	}
	v.renew(q.Owner, lastChange(b.Carts))
	return basketAnswer(b), nil
}

// basketQuery returns the query without an owner where the request names no user.
func basketQuery(p oas.GetBasketParams) cart.BasketQuery {
	return cart.BasketQuery{
		Owner:  cart.User(p.UserID.Or(0)),
		Status: cart.Status(p.Status.Or(int32(cart.Active))),
		Before: p.Before.Or(0),
	}
}

// lastChange returns when one of the carts was last changed, the zero time if there is none.
func lastChange(carts []*cart.Cart) (last time.Time) {
	for _, c := range carts {
		if c.UpdatedAt.After(last) {
			last = c.UpdatedAt
		}
	}
	return last
}

func (h *handler) SetStatuses(ctx context.Context, req *oas.StatusesRequest) (oas.SetStatusesRes, error) {
	joint, err := setStatuses(ctx, req)
	if err != nil {
		return nil, err
	}
	r := cart.Request{Joint: joint}
	v := visitOf(ctx)
	if err := manyConditions(v.request.Header, &r); err != nil {
		return nil, err
	}
	done, err := h.carts.Do(ctx, r)
	if err != nil {
		return nil, err
	}
	v.replayed(done)
	return basketAnswer(cart.BasketOf(done.Carts)), nil
}

func (h *handler) MergeCarts(ctx context.Context, req *oas.MergeRequest) (oas.MergeCartsRes, error) {
	v := visitOf(ctx)
	caller := auth.CallerOf(ctx)
	m, err := merge(req, h.MergePolicy)
	if m.UserID == 0 && !req.UserID.Set {
		m.UserID = caller.Owner.UserID
	}
	if m.Cookie == "" && !req.Cookie.Set {
		m.Cookie = auth.CookieOf(v.request.Header["Cookie"])
	}
	if err := cart.Invalid(m.Validate(), err); err != nil && caller.Owner.Cookie == "" { // guests are refused in any case
		return nil, err
	}
	var r cart.Request
	if err := manyConditions(v.request.Header, &r); err != nil {
		return nil, err
	}
	merged, err := h.carts.Merge(ctx, m)
	if err != nil {
		return nil, err
	}
	return mergedAnswer(merged), nil
}

func mergedAnswer(m *cart.Merged) *oas.Merged {
	answer := &oas.Merged{Merged: make([]oas.MergedCart, len(m.Carts)), Basket: *basketAnswer(m.Basket), More: m.More}
	for i, c := range m.Carts {
		answer.Merged[i] = oas.MergedCart{
			CompanyID: c.CompanyID, From: c.From, Into: c.Into, Result: c.Result.String(), Status: int32(c.Status),
			Left: append([]int64{}, c.Left...),
		}
	}
	return answer
}

func basketAnswer(b *cart.Basket) *oas.Basket {
	answer := &oas.Basket{
		UserID:      oas.NilInt64{Value: b.Owner.UserID, Null: b.Owner.UserID == 0},
		Cookie:      oas.NilString{Value: b.Owner.Cookie, Null: b.Owner.Cookie == ""},
		Carts:       make([]oas.Cart, len(b.Carts)),
		CartsCount:  oas.NilInt64{Value: b.Count, Null: b.Uncounted},
		ItemsCount:  oas.NilInt64{Value: b.Lines, Null: b.Uncounted},
		TotalAmount: oas.NilString{Value: b.Amount, Null: b.Uncounted},
		More:        b.More,
	}
	for i, c := range b.Carts {
		fill(&answer.Carts[i], c)
	}
	return answer
}
