//go:build linux

package chaos

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/sellio/sellio-cart/internal/cart"
)

// tally is a cart in which all clients count at once, each client with its own product. They only add, each time with a key of its
// own, and repeat an addition until it is acknowledged. So the quantities are the sums of what was acknowledged.
type tally struct {
	company int64
	mu      sync.Mutex
	id      int64           // of the cart, once it is known
	sums    map[int64]int64 // acknowledged, by product
	changes int64           // acknowledged
}

// tallyOwner owns the tallies. No client uses it otherwise.
var tallyOwner = cart.User(1<<40 + 1)

func newTally(company int64) *tally { return &tally{company: company, sums: map[int64]int64{}} }

func (y *tally) ref() cart.Ref { return cart.ActiveOf(y.company, tallyOwner) }

// line is a client's line in a tally.
func (y *tally) line(product, quantity int64) cart.Item {
	return cart.Item{ProductID: product, Name: "counted", Price: 1, Quantity: quantity}
}

// count adds to the client's line.
func (c *client) count(ctx context.Context, y *tally) {
	by := 1 + c.random.Int64N(3)
	y.mu.Lock()
	id, begun := y.id, y.sums[c.number] > 0
	y.mu.Unlock()
	var cmd cart.Command = cart.AddItem{CompanyID: y.company, Owner: tallyOwner, Item: y.line(c.number, by), Add: true}
	if id > 0 && begun && c.random.IntN(2) == 0 {
		cmd = cart.ChangeQuantity{CartID: id, ProductID: c.number, By: by}
	}
	c.items++
	r := cart.Request{Command: cmd, Key: fmt.Sprintf("%d.%d", c.number, c.items)}
	c.insist(ctx, r, func(a answer) verdict {
		if a.outcome != acknowledged {
			return right
		}
		return y.take(c.number, by, a.cart)
	})
}

// take enters an acknowledged addition, and judges whether the answer shows exactly the sum: nobody else changes the line.
func (y *tally) take(product, by int64, got *cart.Cart) verdict {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.sums[product] += by
	y.changes++
	if got == nil {
		return lost
	}
	y.id = got.ID
	return y.judge(product, got.Items)
}

func (y *tally) judge(product int64, items []cart.Item) verdict {
	at := slices.IndexFunc(items, func(i cart.Item) bool { return i.ProductID == product })
	switch {
	case at < 0 || items[at].Quantity < y.sums[product]:
		return lost
	case items[at].Quantity > y.sums[product]:
		return doubled
	case items[at] != y.line(product, y.sums[product]):
		return torn
	}
	return right
}

// compare judges the stored cart when no command is in flight. Each addition increases the version by one.
func (y *tally) compare(got *cart.Cart) verdict {
	switch {
	case got == nil && y.changes == 0:
		return right
	case got == nil || got.Version < y.changes || len(got.Items) < len(y.sums):
		return lost
	case got.Version > y.changes || len(got.Items) > len(y.sums):
		return doubled
	}
	for product := range y.sums {
		if v := y.judge(product, got.Items); v != right {
			return v
		}
	}
	return right
}

// counted returns the number of additions that were acknowledged, and how far the stored quantities are from their sums.
func (s *site) counted(carts []*cart.Cart) (additions, difference int64) {
	quantities := map[int64]map[int64]int64{} // by company and product
	for _, c := range carts {
		if c.Owner() == tallyOwner {
			quantities[c.CompanyID] = map[int64]int64{}
			for _, i := range c.Items {
				quantities[c.CompanyID][i.ProductID] = i.Quantity
			}
		}
	}
	for _, y := range s.tallies {
		additions += y.changes
		for product, sum := range y.sums {
			difference += max(sum-quantities[y.company][product], quantities[y.company][product]-sum)
		}
	}
	return additions, difference
}
