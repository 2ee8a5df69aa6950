package storetest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/cart"
)

var saveCases = []testCase[cart.Store]{
	{"save/create", saveCreate},
	{"save/create with 500 lines", saveCreateFull},
	{"save/update", saveUpdate},
	{"save/lines keep their place", saveKeepsPlaces},
	{"save/a line added again comes last", saveAddedAgain},
	{"save/drop", saveDrop},
	{"save/delete", saveDelete},
	{"save/status", saveStatus},
	{"save/an empty cart changes and stays", saveEmpty},
	{"save/end one cart, begin the next", saveNext},
	{"save/nothing", saveNothing},
	{"save/many changes, results in order", saveMany},
	{"save/extreme values", saveExtremes},
	{"save/several stores on one database", saveSeveralStores},
}

func saveCreate(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := fresh(3, cart.User(7), item(2, 5), item(1, 1))
	c.Version = 4 // a batch may change a cart before it is first saved
	saved := save(t, s, cart.Diff(nil, c))[0]
	if !saved.OK || saved.ID <= 0 || saved.CreatedAt.IsZero() || saved.UpdatedAt.IsZero() {
		t.Fatalf("saved: %+v", saved)
	}
	want := *c
	want.ID, want.CreatedAt, want.UpdatedAt = saved.ID, saved.CreatedAt, saved.UpdatedAt
	same(t, get(t, s, cart.ByID(saved.ID)), &want)
}

func saveCreateFull(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for n, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		c := fresh(1, owner, items(int64(cart.MaxLines-n))...)
		same(t, create(t, s, c), c, stamps)
	}
}

func saveUpdate(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	before := create(t, s, fresh(1, cart.User(7), item(1, 1)))
	bystander := create(t, s, fresh(1, cart.User(8), item(1, 1), item(2, 1)))
	after := next(before, item(1, 3), item(2, 1))
	after.Version = before.Version + 5 // as many commands as the batch had
	saved := save(t, s, cart.Diff(before, after))[0]
	if !saved.OK || saved.ID != 0 || !saved.CreatedAt.IsZero() || saved.UpdatedAt.Before(before.UpdatedAt) {
		t.Fatalf("saved: %+v", saved)
	}
	after.UpdatedAt = saved.UpdatedAt
	same(t, get(t, s, cart.ByID(before.ID)), after)
	same(t, get(t, s, cart.ByID(bystander.ID)), bystander)
}

func saveKeepsPlaces(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(7), item(3, 1), item(1, 1), item(2, 1)))
	for _, lines := range [][]cart.Item{
		{item(3, 9), item(1, 1), item(2, 1)},
		{item(3, 9), item(1, 9), item(2, 9)},
		{item(3, 9), item(1, 9), item(2, 8), item(0x7fff, 1)},
		{item(3, 7), item(1, 9), item(2, 8), item(0x7fff, 1)},
	} {
		want := next(c, lines...)
		c = update(t, s, c, want)
		same(t, c, want, touched)
	}
}

// Within one batch a product may have been taken out and added once more.
func saveAddedAgain(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(7), item(1, 1), item(2, 1), item(3, 1), item(4, 1)))
	for _, lines := range [][]cart.Item{
		{item(2, 1), item(3, 1), item(4, 1), item(1, 1)}, // the first, unchanged
		{item(2, 1), item(4, 1), item(1, 1), item(3, 5)}, // one in the middle, changed
		{item(1, 1), item(3, 5), item(4, 1), item(2, 2)}, // two
		{item(3, 5), item(2, 2), item(1, 7), item(5, 1)}, // one, while another goes and a third comes
	} {
		want := next(c, lines...)
		c = update(t, s, c, want)
		same(t, c, want, touched)
	}
}

func saveDrop(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(7), items(6)...))
	bystander := create(t, s, fresh(1, cart.User(8), items(6)...))
	all := c.Items
	for _, lines := range [][]cart.Item{
		{all[1], all[2], all[3], all[4]}, // the first and the last
		{all[1], all[4]},                 // the middle
		{all[4], item(99, 1)},            // one, while another comes
	} {
		want := next(c, lines...)
		c = update(t, s, c, want)
		same(t, c, want, touched)
	}
	same(t, get(t, s, cart.ByID(bystander.ID)), bystander)
}

func saveDelete(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(7), items(3)...))
	bystander := create(t, s, fresh(2, cart.User(7), items(3)...))
	if saved := save(t, s, cart.Diff(c, emptied(c)))[0]; !saved.OK || saved.ID != 0 {
		t.Fatalf("saved: %+v", saved)
	}
	absent(t, s, cart.ByID(c.ID))
	absent(t, s, cart.ActiveOf(1, cart.User(7)))
	again := create(t, s, fresh(1, cart.User(7), item(9, 1)))
	if again.ID <= c.ID {
		t.Errorf("cart %d came after cart %d: ids must not come twice", again.ID, c.ID)
	}
	same(t, again, fresh(1, cart.User(7), item(9, 1)), stamps)
	same(t, get(t, s, cart.ByID(bystander.ID)), bystander)
}

func saveStatus(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		c := create(t, s, fresh(1, owner, item(1, 1)))
		for _, status := range []cart.Status{cart.Locked, cart.Active, cart.Locked, cart.CheckedOut} {
			want := moved(c, status)
			c = update(t, s, c, want)
			same(t, c, want, touched)
		}
		// Status and lines at once, as a batch may have it.
		c = create(t, s, fresh(1, owner, item(1, 1), item(2, 1)))
		want := next(c, item(1, 4), item(3, 1))
		want.Status = cart.Cancelled
		same(t, update(t, s, c, want), want, touched)
		absent(t, s, cart.ActiveOf(1, owner))
	}
}

// Only a cart that is gone is deleted: a cart may have no lines and change.
func saveEmpty(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(7)))
	want := next(c)
	same(t, update(t, s, c, want), want, touched)
}

// saveNext ends an owner's ACTIVE cart and begins the next one in one Save, as a batch does.
func saveNext(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		for _, end := range []func(*cart.Cart) *cart.Cart{
			emptied,
			func(c *cart.Cart) *cart.Cart { return moved(c, cart.Locked) },
			func(c *cart.Cart) *cart.Cart { return moved(c, cart.CheckedOut) },
		} {
			c := get(t, s, cart.ByID(upserted(t, s, owner)))
			ended := end(c)
			begun := fresh(1, owner, item(2, 1))
			saved := save(t, s, cart.Diff(c, ended), cart.Diff(nil, begun))
			if !saved[0].OK || !saved[1].OK {
				t.Fatalf("saved: %+v", saved)
			}
			if ended.Gone {
				absent(t, s, cart.ByID(c.ID))
			} else {
				ended.Rival = ended.Status == cart.Locked
				same(t, get(t, s, cart.ByID(c.ID)), ended, touched)
			}
			same(t, get(t, s, cart.ActiveOf(1, owner)), begun, stamps)
			// Where the end comes too late, there is no place for the next.
			next := get(t, s, cart.ActiveOf(1, owner))
			stale := *next
			stale.Version--
			saved = save(t, s, cart.Diff(&stale, end(&stale)), cart.Diff(nil, begun))
			if saved[0].OK || saved[1].OK {
				t.Fatalf("saved: %+v", saved)
			}
			same(t, get(t, s, cart.ActiveOf(1, owner)), next)
		}
	}
}

// upserted returns the id of the owner's ACTIVE cart at company 1, which is made where there is none.
func upserted(t testing.TB, s cart.Store, owner cart.Owner) int64 {
	t.Helper()
	if c := load(t, s, cart.ActiveOf(1, owner))[0]; c != nil {
		return c.ID
	}
	return create(t, s, fresh(1, owner, item(1, 1))).ID
}

func saveNothing(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	if saved := save(t, s); len(saved) != 0 {
		t.Errorf("no changes have %d results", len(saved))
	}
}

// saveMany mixes creations, updates, deletions and changes that come too late in one Save.
func saveMany(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	const n = 300
	old := make([]*cart.Cart, n)
	var changes []cart.Change
	for i := range old {
		changes = append(changes, cart.Diff(nil, fresh(1, cart.User(int64(i)+1), item(1, 1), item(2, 1))))
	}
	for i, saved := range save(t, s, changes...) {
		old[i] = get(t, s, cart.ByID(saved.ID))
	}
	changes = nil
	for i, c := range old {
		switch i % 5 {
		case 0:
			changes = append(changes, cart.Diff(nil, fresh(2, c.Owner(), item(5, 1))))
		case 1:
			changes = append(changes, cart.Diff(c, next(c, item(2, 2), item(7, 1))))
		case 2:
			changes = append(changes, cart.Diff(c, emptied(c)))
		case 3:
			changes = append(changes, cart.Diff(nil, fresh(1, c.Owner(), item(6, 1))))
		case 4:
			changes = append(changes, cart.Diff(next(c, c.Items...), moved(next(c, c.Items...), cart.Locked)))
		}
	}
	saved := save(t, s, changes...)
	for i, c := range old {
		got := load(t, s, cart.ByID(c.ID))[0]
		if late := i%5 >= 3; saved[i].OK == late {
			t.Fatalf("change %d of kind %d: OK is %v", i, i%5, saved[i].OK)
		}
		switch i % 5 {
		case 0:
			same(t, get(t, s, cart.ByID(saved[i].ID)), changes[i].Cart, stamps)
			same(t, got, c)
		case 1:
			same(t, got, changes[i].Cart, touched)
		case 2:
			absent(t, s, cart.ByID(c.ID))
		default:
			same(t, got, c)
		}
	}
}

func saveExtremes(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	names := []string{
		`O'Neill "the" \ $1 {a,b} NULL`, "%s %d ?1 :x @y", "\t\r\n", "  ", ",", "null", "☕ 👩‍👩‍👧 عربى",
		"e\u0301", strings.Repeat("𝒳", cart.MaxNameLength), strings.Repeat("\\\"", 127), "\x01\x7f\u2028", "1 2 3 4 x",
	}
	var lines []cart.Item
	for i, name := range names {
		lines = append(lines, cart.Item{
			ProductID: 1<<63 - 1 - int64(i), Name: name,
			Price: cart.MaxPrice * cart.Money(i%2), Quantity: 1 + (cart.MaxQuantity-1)*int64(i%2),
		})
	}
	cookie := strings.Repeat("~", cart.MaxCookie)
	c := create(t, s, fresh(1<<63-1, cart.Guest(cookie), lines...))
	same(t, c, fresh(1<<63-1, cart.Guest(cookie), lines...), stamps)
	same(t, get(t, s, cart.ActiveOf(1<<63-1, cart.Guest(cookie))), c)
	// And by way of an update.
	for i := range lines {
		lines[i].Name = names[(i+1)%len(names)]
	}
	want := next(c, lines...)
	same(t, update(t, s, c, want), want, touched)
}

func saveSeveralStores(t *testing.T, db Database[cart.Store]) {
	one, two := db.Open(t), db.Open(t)
	c := create(t, one, fresh(1, cart.User(7), item(1, 1)))
	if diff := cmp.Diff(c, get(t, two, cart.ActiveOf(1, cart.User(7)))); diff != "" {
		t.Errorf("the other store reads another cart (-one +two):\n%s", diff)
	}
	after := next(c, item(1, 2))
	update(t, two, c, after)
	same(t, get(t, one, cart.ByID(c.ID)), after, touched)
}
