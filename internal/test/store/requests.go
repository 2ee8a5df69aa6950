package storetest

import (
	gocmp "cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sellio/sellio-cart/internal/cart"
)

// runRequests gives random requests, with and without keys, on one cart and on several, to a service and to [OneByOne] on a
// store in memory, and compares answers and carts.
func runRequests(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt, s, runs.Add(1)*1000)
		for range rapid.IntRange(1, 8).Draw(rt, "requests") {
			w.do(t, rt, s, w.request(rt))
		}
		w.compare(t, rt, s)
	})
}

// answer is what a service returns for a request.
type answer struct {
	result cart.Result
	err    error
}

// world is what a service should have come to: a store in memory, and which of the service's carts is which of its own.
type world struct {
	memory    *memory
	model     OneByOne
	real      map[int64]int64 // ids, by those in memory
	companies []int64
	users     []cart.Owner
	guests    []cart.Owner
}

// newWorld makes some carts in the world and in the service.
func newWorld(t *testing.T, rt *rapid.T, s cart.Service, base int64) *world {
	m := newMemory()
	w := &world{memory: m, model: OneByOne{Store: m}, real: make(map[int64]int64), companies: []int64{base, base + 1}}
	w.users, w.guests = []cart.Owner{cart.User(base), cart.User(base + 1)}, []cart.Owner{cart.Guest(fmt.Sprint("g", base))}
	for _, owner := range w.owners() {
		for _, company := range w.companies {
			for _, status := range []cart.Status{cart.Locked, cart.Active} {
				if !rapid.Bool().Draw(rt, "has") {
					continue
				}
				w.do(t, rt, s, cart.Do(cart.AddItem{CompanyID: company, Owner: owner, Item: w.item(rt)}))
				if status == cart.Locked {
					w.do(t, rt, s, cart.Do(cart.SetStatus{CartID: m.ids, Status: cart.Locked}))
				}
			}
		}
	}
	return w
}

func (w *world) owners() []cart.Owner { return slices.Concat(w.users, w.guests) }

// do lets the service do a request, and checks its answer.
func (w *world) do(t *testing.T, rt *rapid.T, s cart.Service, r cart.Request) {
	result, err := s.Do(t.Context(), w.toReal(r))
	w.check(t, rt, []cart.Request{r}, []answer{{result, err}})
}

func (w *world) item(rt *rapid.T) cart.Item {
	return item(rapid.Int64Range(1, 4).Draw(rt, "product"), rapid.Int64Range(1, 3).Draw(rt, "quantity"))
}

// request draws a request on carts as they are in memory.
func (w *world) request(rt *rapid.T) cart.Request {
	var r cart.Request
	if rapid.IntRange(0, 3).Draw(rt, "joint") == 0 {
		r = w.joint(rt)
	} else {
		r = cart.Do(w.command(rt))
	}
	if rapid.Bool().Draw(rt, "keyed") {
		r.Key = rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "key")
	}
	if r.Command != nil && rapid.IntRange(0, 4).Draw(rt, "matched") == 0 {
		r.Match = &cart.Match{}
		if c := w.memory.find(r.Command.Ref()); c != nil {
			r.Match.Tags = []cart.Tag{{ID: c.ID, Version: c.Version - rapid.Int64Range(0, 1).Draw(rt, "behind")}}
		}
	}
	return r
}

// id draws the id of a cart, or one that no cart ever has.
func (w *world) id(rt *rapid.T) int64 {
	return gocmp.Or(rapid.Int64Range(0, w.memory.ids).Draw(rt, "id"), nobodys)
}

func (w *world) attributes(rt *rapid.T) *cart.Attributes {
	return rapid.SampledFrom([]*cart.Attributes{nil, nil, ptr(cart.Attributes("")), ptr(cart.NewAttributes(map[string]string{"note": "é\"<"}))}).Draw(rt, "attributes")
}

func (w *world) changes(rt *rapid.T) []cart.ItemChange {
	var changes []cart.ItemChange
	for range rapid.IntRange(0, 2).Draw(rt, "changes") {
		changes = append(changes, cart.ItemChange{
			Op:   rapid.SampledFrom([]cart.Op{cart.OpPut, cart.OpSet, cart.OpChange, cart.OpRemove, cart.OpClear}).Draw(rt, "op"),
			Item: w.item(rt), Attributes: w.attributes(rt), Add: rapid.Bool().Draw(rt, "add"), By: rapid.Int64Range(-2, 2).Draw(rt, "by"),
		})
	}
	// The last one leaves a line, so that a cart that is made is not deleted by the same batch, which would put it off.
	return append(changes, cart.ItemChange{Op: cart.OpPut, Item: w.item(rt), Attributes: w.attributes(rt)})
}

func (w *world) command(rt *rapid.T) cart.Command {
	company := func() int64 { return rapid.SampledFrom(w.companies).Draw(rt, "company") }
	owner := func() cart.Owner { return rapid.SampledFrom(w.owners()).Draw(rt, "owner") }
	payment := func() string { return rapid.SampledFrom([]string{"", "", "p1", "p2"}).Draw(rt, "payment") }
	line := w.item(rt)
	switch kind := rapid.IntRange(0, 10).Draw(rt, "kind"); kind {
	case 0:
		return cart.Upsert{CompanyID: company(), Owner: owner()}
	case 1:
		return cart.AddItem{CompanyID: company(), Owner: owner(), Item: line, Add: rapid.Bool().Draw(rt, "add"), Attributes: w.attributes(rt)}
	case 2:
		return cart.ChangeItems{CompanyID: company(), Owner: owner(), Changes: w.changes(rt), Attributes: w.attributes(rt)}
	case 3:
		return cart.ChangeItems{CartID: w.id(rt), Changes: w.changes(rt), Attributes: w.attributes(rt)}
	case 4:
		return cart.PutItem{CartID: w.id(rt), Item: line, Attributes: w.attributes(rt)}
	case 5:
		return cart.SetQuantity{CartID: w.id(rt), ProductID: line.ProductID, Quantity: line.Quantity - 1}
	case 6:
		return cart.ChangeQuantity{CartID: w.id(rt), ProductID: line.ProductID, By: line.Quantity - 2}
	case 7:
		return cart.RemoveItem{CartID: w.id(rt), ProductID: line.ProductID}
	case 8:
		lease := rapid.SampledFrom([]int64{0, 0, 100, 200}).Draw(rt, "lease")
		return cart.SetStatus{CartID: w.id(rt), Status: cart.Locked, LockSeconds: lease, Reference: payment()}
	case 9:
		return cart.SetStatus{CartID: w.id(rt), Status: cart.CheckedOut, Reference: payment()}
	default:
		return cart.SetStatus{CartID: w.id(rt), Status: rapid.SampledFrom([]cart.Status{cart.Active, cart.Active, cart.Cancelled}).Draw(rt, "status")}
	}
}

// joint draws a request on several carts.
func (w *world) joint(rt *rapid.T) cart.Request {
	if rapid.Bool().Draw(rt, "merge") {
		m := &cart.MergeCarts{Merge: cart.Merge{
			UserID: rapid.SampledFrom(w.users).Draw(rt, "user").UserID,
			Cookie: rapid.SampledFrom(w.guests).Draw(rt, "guest").Cookie,
			Policy: cart.MergePolicy(rapid.IntRange(int(cart.MergeMax), int(cart.MergeKeep)).Draw(rt, "policy")),
		}}
		for id := int64(1); id <= w.memory.ids; id++ {
			if c := w.memory.carts[id]; c != nil && c.Owner() == cart.Guest(m.Cookie) && c.Status <= cart.Locked {
				m.IDs, m.Companies = append(m.IDs, id), append(m.Companies, c.CompanyID)
			}
		}
		if len(m.IDs) > 0 {
			return cart.Request{Joint: m}
		}
	}
	owner := rapid.SampledFrom(w.owners()).Draw(rt, "owner")
	s := cart.SetStatuses{Status: cart.Status(rapid.IntRange(1, 4).Draw(rt, "status"))}
	if s.Status == cart.Active {
		s.Merge = rapid.Bool().Draw(rt, "merge")
	}
	if s.Status == cart.Locked {
		s.LockSeconds = rapid.SampledFrom([]int64{0, 100}).Draw(rt, "lease")
		s.Reference = rapid.SampledFrom([]string{"", "p1", "p2"}).Draw(rt, "payment")
	}
	for id := int64(1); id <= w.memory.ids; id++ {
		if c := w.memory.carts[id]; c != nil && c.Owner() == owner && c.Status <= cart.Locked && rapid.Bool().Draw(rt, "too") {
			s.Carts = append(s.Carts, cart.Expected{ID: id})
		}
	}
	if len(s.Carts) == 0 {
		s.Carts = []cart.Expected{{ID: w.id(rt)}}
	}
	return cart.Request{Joint: s}
}

// toReal returns the request with the ids of the service.
func (w *world) toReal(r cart.Request) cart.Request {
	real := func(id int64) int64 {
		if id == nobodys {
			return nobodys + 1 // see gate
		}
		return w.real[id]
	}
	switch cmd := r.Command.(type) {
	case cart.ChangeItems:
		cmd.CartID = real(cmd.CartID)
		r.Command = cmd
	case cart.PutItem:
		cmd.CartID = real(cmd.CartID)
		r.Command = cmd
	case cart.SetQuantity:
		cmd.CartID = real(cmd.CartID)
		r.Command = cmd
	case cart.ChangeQuantity:
		cmd.CartID = real(cmd.CartID)
		r.Command = cmd
	case cart.RemoveItem:
		cmd.CartID = real(cmd.CartID)
		r.Command = cmd
	case cart.SetStatus:
		cmd.CartID = real(cmd.CartID)
		r.Command = cmd
	}
	switch joint := r.Joint.(type) {
	case *cart.MergeCarts:
		m := *joint
		m.IDs = slices.Clone(m.IDs)
		for i, id := range m.IDs {
			m.IDs[i] = real(id)
		}
		r.Joint = &m
	case cart.SetStatuses:
		joint.Carts = slices.Clone(joint.Carts)
		for i := range joint.Carts {
			joint.Carts[i].ID = real(joint.Carts[i].ID)
		}
		r.Joint = joint
	}
	if r.Match != nil {
		m := cart.Match{Tags: slices.Clone(r.Match.Tags)}
		for i := range m.Tags {
			m.Tags[i].ID = real(m.Tags[i].ID)
		}
		r.Match = &m
	}
	return r
}

// check gives the requests to the model, one after another, which must answer as the service did.
func (w *world) check(t *testing.T, rt *rapid.T, requests []cart.Request, got []answer) {
	var want []answer
	for _, r := range requests {
		result, err := w.model.Do(t.Context(), r)
		want = append(want, answer{result, err})
	}
	for i := range requests {
		// Carts that are new have ids only now.
		if c, model := got[i].result.Cart, want[i].result.Cart; c != nil && model != nil && w.real[model.ID] == 0 {
			w.real[model.ID] = c.ID
		}
	}
	for i, r := range requests {
		what := fmt.Sprintf("request %d of %d, %#v %#v key %q", i+1, len(requests), r.Command, r.Joint, r.Key)
		if cart.CodeOf(got[i].err) != cart.CodeOf(want[i].err) {
			rt.Fatalf("%s: %v, want %v", what, got[i].err, want[i].err)
		}
		if got[i].result.Replayed != want[i].result.Replayed {
			rt.Fatalf("%s: replayed %v, want %v", what, got[i].result.Replayed, want[i].result.Replayed)
		}
		w.compareCarts(rt, what, []*cart.Cart{got[i].result.Cart}, []*cart.Cart{want[i].result.Cart})
		w.compareCarts(rt, what, got[i].result.Carts, want[i].result.Carts)
	}
}

// unclocked compares locks by whether they end at all.
var unclocked = cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".LockedUntil" }, cmp.Comparer(
	func(a, b interface{ IsZero() bool }) bool { return a.IsZero() == b.IsZero() }))

func (w *world) compareCarts(rt *rapid.T, what string, got, want []*cart.Cart) {
	translated := make([]*cart.Cart, len(want))
	for i, c := range want {
		if c != nil {
			n := *c
			n.ID = w.real[c.ID]
			translated[i] = &n
		}
	}
	if diff := cmp.Diff(translated, got, cmpopts.EquateEmpty(), unstamped, unclocked); diff != "" {
		rt.Fatalf("%s: differs (-want +got):\n%s", what, diff)
	}
}

// compare compares all carts, and the baskets of all owners.
func (w *world) compare(t *testing.T, rt *rapid.T, s cart.Service) {
	var ids []int64
	var want []*cart.Cart
	for id := int64(1); id <= w.memory.ids; id++ {
		ids = append(ids, w.real[id])
		if c := w.memory.carts[id]; !isEmpty(c) {
			want = append(want, c)
		}
	}
	got, err := s.GetMany(t.Context(), ids)
	if err != nil {
		rt.Fatal(err)
	}
	w.compareCarts(rt, "all carts", got, want)
	for _, owner := range w.owners() {
		for _, status := range []cart.Status{cart.Active, cart.Locked} {
			q := cart.BasketQuery{Owner: owner, Status: status}
			got, err := s.Basket(t.Context(), q)
			if err != nil {
				rt.Fatal(err)
			}
			want, err := w.model.Basket(t.Context(), q)
			if err != nil {
				rt.Fatal(err)
			}
			what := fmt.Sprintf("basket of %v", owner)
			// Ids grow in another order where a batch has made several carts.
			byID := func(a, b *cart.Cart) int { return int(w.real[a.ID] - w.real[b.ID]) }
			slices.SortFunc(want.Carts, func(a, b *cart.Cart) int { return byID(b, a) })
			w.compareCarts(rt, what, got.Carts, want.Carts)
			if got.Owner != owner || got.More || got.Totals != want.Totals {
				rt.Fatalf("%s: %+v, want %+v", what, got, want)
			}
		}
	}
}
