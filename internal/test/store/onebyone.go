package storetest

import (
	"context"
	"errors"
	"slices"

	"github.com/sellio/sellio-cart/internal/cart"
)

// OneByOne is the plainest [cart.Service]: each request is a Load and a Save of its own, for any caller. Group commit must
// give the same results, and be faster.
type OneByOne struct{ Store cart.Store }

// Do implements [cart.Service]. It runs the request again for as long as others change the carts at the same time.
func (o OneByOne) Do(ctx context.Context, r cart.Request) (cart.Result, error) {
	refs := r.Refs()
	for {
		done, err := o.try(ctx, &r, refs)
		if missing, ok := errors.AsType[*cart.MissingError](err); ok {
			refs = append(r.Refs(), missing.Refs...)
		} else if cart.CodeOf(err) != cart.CodeConflict {
			return done, err
		}
	}
}

// try runs the request once. A concurrent change is a CodeConflict.
func (o OneByOne) try(ctx context.Context, r *cart.Request, refs []cart.Ref) (cart.Result, error) {
	var keys [][32]byte
	if r.Key != "" {
		keys = append(keys, r.ReceiptKey())
	}
	carts, receipts, err := o.Store.LoadKnown(ctx, refs, keys)
	if err != nil {
		return cart.Result{}, err
	}
	found := make(cart.Found)
	for i, ref := range refs {
		found[ref] = carts[i]
		if carts[i] != nil {
			found[cart.ByID(carts[i].ID)] = carts[i]
		}
	}
	if r.Key != "" && receipts[0] != nil {
		return replay(r, found, receipts[0])
	}
	done, changes, err := apply(r, found)
	if err != nil || len(changes) == 0 {
		return done, err
	}
	saved, err := o.Store.Save(ctx, changes)
	if err != nil {
		return done, err
	}
	for i, sv := range saved {
		if !sv.OK {
			return done, cart.ErrConflict
		}
		if !changes[i].Keep {
			sv.Complete(changes[i].Cart)
		}
	}
	return done, nil
}

// apply applies the request to the carts and returns what is to be saved.
func apply(r *cart.Request, found cart.Found) (done cart.Result, changes []cart.Change, err error) {
	var receipt cart.Receipt
	if r.Joint == nil {
		before := found[r.Command.Ref()]
		if done.Cart, err = r.Apply(before); err != nil {
			return done, nil, err
		}
		done.Created, done.Changed = before == nil, done.Cart != before
		receipt = receiptOf(done.Cart)
		if done.Changed {
			changes = append(changes, cart.Diff(before, done.Cart))
		} else if r.Key != "" {
			changes = append(changes, kept(before, 0))
		}
	} else {
		out, err := r.ApplyJoint(found)
		if err != nil {
			return done, nil, err
		}
		done.Changed = len(out.Changed) > 0
		done.Carts, changes = jointly(found, out, r.Key != "")
		if len(done.Carts) == 1 {
			receipt = receiptOf(done.Carts[0])
		}
	}
	if r.Key != "" {
		receipt.Key, receipt.Fingerprint = r.ReceiptKey(), r.Fingerprint()
		at := slices.IndexFunc(changes, func(ch cart.Change) bool { return ch.Cart.ID == receipt.CartID })
		changes[max(0, at)].Receipts = []cart.Receipt{receipt}
	}
	return done, changes, nil
}

func receiptOf(c *cart.Cart) cart.Receipt {
	return cart.Receipt{CartID: c.ID, CompanyID: c.CompanyID, Version: c.Version, CreatedAt: c.CreatedAt, Owner: c.Owner().Hash()}
}

// jointly returns the carts to answer with, and the changes of all carts that the request has seen.
func jointly(found cart.Found, out cart.Outcome, keyed bool) (answer []*cart.Cart, changes []cart.Change) {
	now := make(map[int64]*cart.Cart)
	for _, c := range found {
		if c != nil {
			now[c.ID] = c
		}
	}
	for _, c := range out.Changed {
		now[c.ID] = c
	}
	for id, c := range now {
		switch before := found[cart.ByID(id)]; {
		case c != before:
			ch := cart.Diff(before, c)
			ch.Group = 1
			changes = append(changes, ch)
		case len(out.Changed) > 0 || keyed:
			changes = append(changes, kept(c, 1))
		}
	}
	for _, id := range out.Answer {
		answer = append(answer, now[id])
	}
	return answer, changes
}

func kept(c *cart.Cart, group int) cart.Change {
	return cart.Change{Cart: c, Was: c.Version, Keep: true, Group: group}
}

// replay answers a request that was done before.
func replay(r *cart.Request, found cart.Found, receipt *cart.Receipt) (cart.Result, error) {
	done := cart.Result{Replayed: true}
	if err := r.CheckRepeated(receipt); err != nil {
		return cart.Result{}, err
	}
	if r.Joint != nil && receipt.CartID == 0 {
		for _, ref := range r.Joint.Refs() {
			if c := found[ref]; ref.ID > 0 && c != nil {
				done.Carts = append(done.Carts, c)
			}
		}
		return done, nil
	}
	var named cart.Owner
	if r.Command != nil {
		named = r.Command.Ref().Owner
	}
	c := receipt.Cart
	if c == nil || !named.IsNobody() && c.Owner() != named {
		c = cart.Emptied(receipt, named)
	}
	if r.Joint != nil {
		done.Carts = []*cart.Cart{c}
	} else {
		done.Cart = c
	}
	return done, nil
}

// Get implements [cart.Service].
func (o OneByOne) Get(ctx context.Context, ref cart.Ref) (*cart.Cart, error) {
	carts, err := o.Store.Load(ctx, []cart.Ref{ref})
	if err != nil {
		return nil, err
	}
	if isEmpty(carts[0]) {
		return nil, cart.ErrNotFound
	}
	return carts[0], nil
}

// GetMany implements [cart.Service].
func (o OneByOne) GetMany(ctx context.Context, ids []int64) ([]*cart.Cart, error) {
	refs := make([]cart.Ref, len(ids))
	for i, id := range ids {
		refs[i] = cart.ByID(id)
	}
	carts, err := o.Store.Load(ctx, refs)
	return slices.DeleteFunc(carts, isEmpty), err
}

// List implements [cart.Service].
func (o OneByOne) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	return o.Store.List(ctx, l)
}

// Basket implements [cart.Service].
func (o OneByOne) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	return o.Store.Basket(ctx, q)
}

// Merge implements [cart.Service] with one transaction, for up to [cart.MaxCartsAsked] carts.
func (o OneByOne) Merge(ctx context.Context, m cart.Merge) (*cart.Merged, error) {
	guests, err := o.Store.GuestCarts(ctx, m.Cookie, m.CompanyID, cart.MaxCartsAsked)
	if err != nil {
		return nil, err
	}
	all := &cart.MergeCarts{Merge: m}
	for _, g := range guests {
		all.IDs, all.Companies = append(all.IDs, g.ID), append(all.Companies, g.CompanyID)
	}
	merged := &cart.Merged{}
	if len(guests) > 0 {
		if _, err := o.Do(ctx, cart.Request{Joint: all}); err != nil {
			return nil, err
		}
		merged.Carts = all.Results
	}
	merged.Basket, err = o.Store.Basket(ctx, cart.BasketQuery{Owner: cart.User(m.UserID), Status: cart.Active})
	return merged, err
}
