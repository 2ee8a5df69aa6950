package commit

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"github.com/sellio/sellio-cart/internal/cart"
)

// mergeTries is how often a merge of all carts at once meets concurrent changes before the carts are merged one by one.
const mergeTries = 3

// Merge makes the carts of a guest those of a user: all of them in one transaction or, where that does not come to an end,
// each in its own. It fails only where the database cannot be reached or the service is overloaded; what was merged by then
// stays merged, and repeating the merge does the rest. Ctx is as in GetMany.
func (s *Service) Merge(ctx context.Context, m cart.Merge) (*cart.Merged, error) {
	all := &cart.MergeCarts{Merge: m}
	merged := &cart.Merged{}
	if m.Cookie != "" {
		guests, err := s.guestCarts(ctx, m)
		if err != nil {
			return nil, err
		}
		merged.More = len(guests) > cart.MaxCartsAsked
		for _, g := range guests[:min(len(guests), cart.MaxCartsAsked)] {
			all.IDs, all.Companies = append(all.IDs, g.ID), append(all.Companies, g.CompanyID)
		}
	}
	var err error
	if merged.Carts, err = s.merge(ctx, all); err != nil {
		return nil, err
	}
	merged.Basket, err = s.Basket(ctx, cart.BasketQuery{Owner: cart.User(m.UserID), Status: cart.Active})
	return merged, err
}

// guestCarts returns the carts of a guest that can be merged, and one more than fit into one merge if there are more.
func (s *Service) guestCarts(ctx context.Context, m cart.Merge) ([]cart.GuestCart, error) {
	return search(ctx, s, func(ctx context.Context, r cart.Reader) ([]cart.GuestCart, error) {
		return r.GuestCarts(ctx, m.Cookie, m.CompanyID, cart.MaxCartsAsked+1)
	})
}

// merge merges the carts together or, if that fails for one of them, one by one.
func (s *Service) merge(ctx context.Context, all *cart.MergeCarts) ([]cart.MergedCart, error) {
	if len(all.IDs) == 0 {
		return nil, nil
	}
	_, err := s.Do(ctx, cart.Request{Joint: all, Tries: mergeTries})
	switch {
	case err == nil:
		return all.Results, nil
	case !isOfCart(err):
		return nil, err // The lane may still be at work on all.
	}
	var results []cart.MergedCart
	for i, id := range all.IDs {
		one := &cart.MergeCarts{Merge: all.Merge, IDs: []int64{id}, Companies: []int64{all.Companies[i]}}
		_, err := s.Do(ctx, cart.Request{Joint: one, Tries: mergeTries})
		switch {
		case err == nil:
			results = append(results, one.Results...)
		case isOfCart(err):
			s.log.WarnContext(ctx, "A cart was not merged.", slog.Int64("cart", id), slog.Any("error", err))
			results = append(results, cart.MergedCart{CompanyID: all.Companies[i], From: id, Into: id, Result: cart.ResultFailed})
		default:
			return nil, err
		}
	}
	slices.SortStableFunc(results, func(a, b cart.MergedCart) int { return cmp.Compare(a.CompanyID, b.CompanyID) })
	return results, nil
}

// isOfCart reports whether a request failed for one of its carts, so that it may succeed without that one.
func isOfCart(err error) bool {
	code := cart.CodeOf(err)
	return code == cart.CodeConflict || isOfData(code)
}
