package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sellio/sellio-cart/internal/cart"
)

var modelCases = []testCase[cart.Service]{
	{"model", runModel},
	{"model of requests", runRequests},
}

// runModel gives random commands to a service and to the model, and compares answers and carts.
func runModel(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		// All runs share the database; each has companies and owners of its own.
		m := newModel(runs.Add(1) * 100)
		for range rapid.IntRange(1, 25).Draw(rt, "commands") {
			cmd := m.command(rt)
			got, err := Do(t.Context(), s, cmd)
			m.check(rt, []cart.Command{cmd}, []outcome{{got, err}})
			m.compareCarts(t, rt, s)
		}
		m.compareActive(t, rt, s)
		m.compareLists(t, rt, s)
	})
}

// outcome is the result of a command.
type outcome struct {
	cart *cart.Cart
	err  error
}

// check gives the commands to the model, which must give the same results.
func (m *model) check(rt *rapid.T, commands []cart.Command, got []outcome) {
	want := make([]*cart.Cart, len(commands))
	for i, cmd := range commands {
		c, code := m.do(cmd)
		if err := got[i].err; cart.CodeOf(err) != code {
			rt.Fatalf("%#v: %+v, %v; want code %d", cmd, got[i].cart, err, code)
		}
		if c != nil {
			left := *c // the commands that follow change c
			left.Items = slices.Clone(c.Items)
			want[i] = &left
		}
	}
	// Only now are the ids of the new carts known.
	for i := range commands {
		if want[i] != nil && want[i].ID < 0 {
			m.adopt(want[i].ID, got[i].cart.ID)
			want[i].ID = got[i].cart.ID
		}
		compare(rt, fmt.Sprintf("%#v", commands[i]), got[i].cart, want[i])
	}
}

// unstamped leaves out the values that the model does not have.
var unstamped = cmpopts.IgnoreFields(cart.Cart{}, "CreatedAt", "UpdatedAt", "Rival")

func compare(rt *rapid.T, what string, got, want any) {
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), unstamped); diff != "" {
		rt.Fatalf("%s: differs (-want +got):\n%s", what, diff)
	}
}

// model is the rules once more, without stores and versions to compare and swap: carts in a map.
type model struct {
	companies []int64
	owners    []cart.Owner
	carts     map[int64]*cart.Cart // new ones by negative ids, until theirs are known
	gone      []int64
}

func newModel(base int64) *model {
	return &model{
		companies: []int64{base + 1, base + 2},
		owners:    []cart.Owner{cart.User(base + 1), cart.User(base + 2), cart.Guest(fmt.Sprint(base + 1))},
		carts:     make(map[int64]*cart.Cart),
	}
}

// command draws a command; ids are mostly those of carts that exist, or did.
func (m *model) command(rt *rapid.T) cart.Command {
	known := append(slices.Sorted(maps.Keys(m.carts)), m.gone...)
	id := rapid.SampledFrom(append(known, 1<<62)).Draw(rt, "cart")
	company := rapid.SampledFrom(m.companies).Draw(rt, "company")
	owner := rapid.SampledFrom(m.owners).Draw(rt, "owner")
	line := cart.Item{
		ProductID: rapid.Int64Range(1, 4).Draw(rt, "product"),
		Name:      rapid.SampledFrom([]string{"Tea", "Tee ☕"}).Draw(rt, "name"),
		Price:     cart.Money(rapid.Int64Range(0, 2).Draw(rt, "price")),
		Quantity:  rapid.Int64Range(1, 2).Draw(rt, "quantity"),
	}
	return rapid.SampledFrom([]cart.Command{
		cart.Upsert{CompanyID: company, Owner: owner},
		cart.AddItem{CompanyID: company, Owner: owner, Item: line},
		cart.PutItem{CartID: id, Item: line},
		cart.SetQuantity{CartID: id, ProductID: line.ProductID, Quantity: line.Quantity - 1},
		cart.RemoveItem{CartID: id, ProductID: line.ProductID},
		cart.SetStatus{CartID: id, Status: cart.Status(rapid.IntRange(1, 4).Draw(rt, "status"))},
	}).Draw(rt, "command")
}

// do runs a command and returns the cart that it answers with, or the code of its failure. A cart that
// it has created has a negative id.
func (m *model) do(cmd cart.Command) (*cart.Cart, cart.Code) {
	switch cmd := cmd.(type) {
	case cart.Upsert:
		if c := m.active(cmd.CompanyID, cmd.Owner); c != nil {
			return c, cart.CodeNone
		}
		return m.create(fresh(cmd.CompanyID, cmd.Owner))
	case cart.AddItem:
		c := m.active(cmd.CompanyID, cmd.Owner)
		if c == nil {
			return m.create(fresh(cmd.CompanyID, cmd.Owner, cmd.Item))
		}
		return m.put(c, cmd.Item)
	case cart.PutItem:
		return m.put(m.carts[cmd.CartID], cmd.Item)
	case cart.SetQuantity:
		return m.setQuantity(m.carts[cmd.CartID], cmd.ProductID, cmd.Quantity)
	case cart.RemoveItem:
		return m.setQuantity(m.carts[cmd.CartID], cmd.ProductID, 0)
	case cart.SetStatus:
		return m.setStatus(m.carts[cmd.CartID], cmd.Status)
	default:
		panic(fmt.Sprintf("the model does not know %T", cmd))
	}
}

func (m *model) create(c *cart.Cart) (*cart.Cart, cart.Code) {
	c.ID = -int64(len(m.carts)+len(m.gone)) - 1
	m.carts[c.ID] = c
	return c, cart.CodeNone
}

// adopt gives the cart its id.
func (m *model) adopt(negative, id int64) {
	if c := m.carts[negative]; c != nil {
		c.ID = id
		delete(m.carts, negative)
		m.carts[id] = c
	}
}

func (m *model) active(company int64, owner cart.Owner) *cart.Cart {
	for _, c := range m.carts {
		if c.CompanyID == company && c.Owner() == owner && c.Status == cart.Active {
			return c
		}
	}
	return nil
}

func (m *model) put(c *cart.Cart, line cart.Item) (*cart.Cart, cart.Code) {
	if c == nil {
		return nil, cart.CodeNotFound
	}
	if c.Status != cart.Active {
		return nil, cart.CodeNotActive
	}
	for i := range c.Items {
		if c.Items[i].ProductID == line.ProductID {
			if c.Items[i] != line {
				c.Items[i] = line
				c.Version++
			}
			return c, cart.CodeNone
		}
	}
	c.Items = append(c.Items, line)
	c.Version++
	return c, cart.CodeNone
}

func (m *model) setQuantity(c *cart.Cart, product, quantity int64) (*cart.Cart, cart.Code) {
	if c == nil {
		return nil, cart.CodeNotFound
	}
	if c.Status != cart.Active {
		return nil, cart.CodeNotActive
	}
	for i, line := range c.Items {
		if line.ProductID == product && quantity > 0 {
			line.Quantity = quantity
			return m.put(c, line)
		}
		if line.ProductID == product {
			c.Items = append(c.Items[:i], c.Items[i+1:]...)
			c.Version++
			if len(c.Items) == 0 {
				c.Gone = true
				delete(m.carts, c.ID)
				m.gone = append(m.gone, c.ID)
			}
			return c, cart.CodeNone
		}
	}
	return nil, cart.CodeNotFound
}

func (m *model) setStatus(c *cart.Cart, status cart.Status) (*cart.Cart, cart.Code) {
	if c == nil {
		return nil, cart.CodeNotFound
	}
	if c.Status == status {
		return c, cart.CodeNone
	}
	final := c.Status == cart.CheckedOut || c.Status == cart.Cancelled
	taken := status == cart.Active && m.active(c.CompanyID, c.Owner()) != nil
	if len(c.Items) == 0 || final || taken {
		return nil, cart.CodeNotAllowed
	}
	c.Status = status
	c.Version++
	return c, cart.CodeNone
}

// shown are the carts with lines that the filter keeps, by id.
func (m *model) shown(keep func(*cart.Cart) bool) []*cart.Cart {
	var list []*cart.Cart
	for _, id := range slices.Sorted(maps.Keys(m.carts)) {
		if c := m.carts[id]; len(c.Items) > 0 && keep(c) {
			list = append(list, c)
		}
	}
	return list
}

func (m *model) compareCarts(t *testing.T, rt *rapid.T, s cart.Service) {
	all := append(slices.Sorted(maps.Keys(m.carts)), m.gone...)
	got, err := s.GetMany(t.Context(), all)
	if err != nil {
		rt.Fatalf("GetMany: %v", err)
	}
	compare(rt, "GetMany", got, m.shown(func(*cart.Cart) bool { return true }))
}

func (m *model) compareActive(t *testing.T, rt *rapid.T, s cart.Service) {
	for _, company := range m.companies {
		for _, owner := range m.owners {
			want := m.active(company, owner)
			got, err := s.Get(t.Context(), cart.ActiveOf(company, owner))
			if err != nil && !(isEmpty(want) && errors.Is(err, cart.ErrNotFound)) {
				rt.Fatalf("Get: %v", err)
			}
			if isEmpty(want) {
				want = nil
			}
			compare(rt, "Get", got, want)
		}
	}
}

func (m *model) compareLists(t *testing.T, rt *rapid.T, s cart.Service) {
	for _, owner := range m.owners[:2] {
		for _, status := range []cart.Status{0, cart.Active, cart.Locked} {
			want := m.shown(func(c *cart.Cart) bool {
				return c.Owner() == owner && (status == 0 || c.Status == status)
			})
			slices.Reverse(want)
			got, err := s.List(t.Context(), cart.Listing{UserID: owner.UserID, Status: status, Limit: cart.MaxCartsAsked})
			if err != nil {
				rt.Fatalf("List: %v", err)
			}
			compare(rt, "List", got, want)
		}
	}
}
