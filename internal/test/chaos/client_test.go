//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	clients = 8
	// pause is the longest time that a client waits before it repeats a command. Real clients are asked to wait a
	// second; here it is less, to measure how soon the service serves again.
	pause = 40 * time.Millisecond
	// lifetimes is the largest number of lives of a client.
	lifetimes = 1 << 20
)

// client fills carts, one command at a time.
type client struct {
	site   *site
	number int64
	random *rand.Rand
	lives  []*life
	items  int64 // number of lines made so far
}

func newClient(s *site, number int64) *client {
	c := &client{site: s, number: number, random: rand.New(rand.NewPCG(uint64(number), 0))}
	c.beginLife()
	return c
}

// beginLife begins a cart at another company, alternately as a user and as a guest.
func (c *client) beginLife() {
	l := &life{company: c.number*lifetimes + int64(len(c.lives)), owner: cart.User(c.number), states: []*cart.Cart{nil}}
	if len(c.lives)%2 == 1 {
		l.owner = cart.Guest(fmt.Sprint("guest-", c.number))
	}
	c.lives = append(c.lives, l)
}

// run sends commands until stop is closed. It returns between two commands, so that none has an unknown outcome.
func (c *client) run(ctx context.Context, stop <-chan struct{}, together *crowd, counted *tally) {
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		default:
		}
		if c.random.IntN(2) == 0 {
			c.count(ctx, counted)
			continue
		}
		if c.random.IntN(4) == 0 {
			item := c.item(c.number)
			add := cart.AddItem{CompanyID: together.company, Owner: crowdOwner, Item: item}
			c.insist(ctx, cart.Do(add), func(a answer) verdict {
				if a.outcome != acknowledged {
					return right
				}
				return together.take(item, a.cart)
			})
			continue
		}
		l := c.lives[len(c.lives)-1]
		cmd := c.next(l)
		c.insist(ctx, cart.Do(cmd), func(a answer) verdict { return l.take(cmd, a) })
		if c.over(l) {
			c.beginLife()
		}
	}
}

// insist sends a request, to one instance or the other, until it is acknowledged. Take enters each answer.
func (c *client) insist(ctx context.Context, r cart.Request, take func(answer) verdict) {
	t, cmd := c.site.t, r.Command
	for {
		instance, began := c.random.IntN(instances), time.Now()
		a := c.site.services[instance].send(ctx, r, c.random.IntN(2) == 0)
		if ctx.Err() != nil {
			if !t.Failed() {
				t.Errorf("%#v was never acknowledged: %v", cmd, a.err)
			}
			return
		}
		v := take(a)
		if v == right && a.cart != nil && a.total != total(a.cart.Items) {
			v = torn
		}
		if v != right {
			t.Errorf("%v: %#v is answered with %s of %+v", v, cmd, a.total, a.cart)
		}
		if a.outcome == faulted && !c.site.mayFault.Load() {
			t.Errorf("%#v: %v", cmd, a.err)
		}
		c.site.ledger.judge(v)
		c.site.ledger.record(a.outcome, c, instance, began)
		if a.outcome == acknowledged {
			return
		}
		select {
		case <-time.After(time.Duration(c.random.Int64N(int64(pause)))):
		case <-ctx.Done():
		}
	}
}

// next draws a command that changes the cart of a life.
func (c *client) next(l *life) cart.Command {
	now := l.states[0]
	if now == nil {
		return cart.AddItem{CompanyID: l.company, Owner: l.owner, Item: c.newItem()}
	}
	line := now.Items[c.random.IntN(len(now.Items))]
	if l.emptying {
		return cart.RemoveItem{CartID: now.ID, ProductID: line.ProductID}
	}
	if now.Status == cart.Locked {
		return cart.SetStatus{CartID: now.ID, Status: []cart.Status{cart.Active, cart.CheckedOut}[c.random.IntN(2)]}
	}
	switch n := c.random.IntN(12); {
	case n < 3 || len(now.Items) < 3:
		return cart.PutItem{CartID: now.ID, Item: c.newItem()}
	case n < 6:
		return cart.AddItem{CompanyID: l.company, Owner: l.owner, Item: c.newItem()}
	case n < 7:
		return cart.PutItem{CartID: now.ID, Item: c.item(line.ProductID)}
	case n < 9:
		return cart.SetQuantity{CartID: now.ID, ProductID: line.ProductID, Quantity: line.Quantity%cart.MaxQuantity + 1}
	case n < 11 || l.doubtful:
		return cart.RemoveItem{CartID: now.ID, ProductID: line.ProductID}
	}
	switch n := c.random.IntN(4); n {
	case 0:
		l.emptying = true
		return cart.RemoveItem{CartID: now.ID, ProductID: line.ProductID}
	default:
		return cart.SetStatus{CartID: now.ID, Status: []cart.Status{cart.Locked, cart.CheckedOut, cart.Cancelled}[n-1]}
	}
}

// over reports whether the client is done with the cart of a life.
func (c *client) over(l *life) bool {
	now := l.states[0]
	return now == nil || now.Status == cart.CheckedOut || now.Status == cart.Cancelled || l.doubtful && len(now.Items) > 20
}

// newItem returns a line with a product that no cart has yet.
func (c *client) newItem() cart.Item { return c.item(c.number*lifetimes + c.items) }

// item returns a line that differs from all others.
func (c *client) item(product int64) cart.Item {
	c.items++
	return cart.Item{
		ProductID: product,
		Name:      fmt.Sprintf("item %d of client %d", c.items, c.number),
		Price:     cart.Money(c.random.Int64N(int64(cart.MaxPrice) + 1)),
		Quantity:  1 + c.random.Int64N(cart.MaxQuantity),
	}
}

// total returns the sum of the lines. It counts in cents: the carts of these clients are far from overflowing 64 bits.
func total(items []cart.Item) string {
	var cents int64
	for _, i := range items {
		cents += int64(i.Price) * i.Quantity
	}
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}
