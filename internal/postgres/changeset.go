package postgres

import (
	"cmp"
	"slices"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// changeSet is a batch of changes, column by column as saveStatement takes them.
type changeSet struct {
	// Carts to update, by id.
	ids, was, versions []int64
	statuses           []int16
	groups             []int32
	amendments         amendments
	amended            bool // some change needs amendments or has a group
	// Carts to delete, by id.
	deletes, deletesWas []int64
	deleteGroups        []int32
	// Carts that stay as they are, and their groups.
	keeps      []int64
	keepGroups []int32
	// All carts that have a group.
	grouped grouped
	// Carts to create, by owner and company.
	companies   []int64
	users       []*int64
	cookies     []*string
	newVersions []int64

	newAttributes []*string
	// Guests for whom a cart becomes ACTIVE.
	guestCompanies []int64
	guestCookies   []string
	// Lines to delete, and to write.
	dropCarts, dropProducts []int64
	changed, appended       lineSet
	receipts                receiptSet

	// index is the index of the change of each ref.
	index map[int64]int
}

// amendments are what amendSQL changes beside what updateSQL does.
type amendments struct {
	users                           []*int64
	cookies, attributes, references []*string
	leases                          []int64 // microseconds
	leased                          []bool
}

func (a *amendments) add(c *cart.Cart) {
	a.users = append(a.users, c.UserID)
	a.cookies = append(a.cookies, c.Cookie)
	a.attributes = append(a.attributes, nullable(string(c.Attributes)))
	a.references = append(a.references, nullable(c.Reference))
	a.leases = append(a.leases, c.Lease.Microseconds())
	a.leased = append(a.leased, !c.LockedUntil.IsZero())
}

// nullable returns nil for an empty text.
func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// grouped are the carts of all groups.
type grouped struct {
	ids, was []int64
	groups   []int32
}

// receiptSet is receipts to store. Ref is that of the change that they belong to.
type receiptSet struct {
	keys, fingerprints, owners [][]byte
	refs, companies, versions  []int64
	created                    []*time.Time // nil: the cart is new, or there is none
}

func (s *receiptSet) add(ref int64, r *cart.Receipt) {
	s.keys = append(s.keys, r.Key[:])
	s.fingerprints = append(s.fingerprints, r.Fingerprint)
	s.owners = append(s.owners, r.Owner)
	s.refs = append(s.refs, ref)
	s.companies = append(s.companies, r.CompanyID)
	s.versions = append(s.versions, r.Version)
	created := &r.CreatedAt
	if created.IsZero() {
		created = nil
	}
	s.created = append(s.created, created)
}

// lineSet is lines to write.
type lineSet struct {
	refs, products []int64
	names          []string
	prices         []int64
	quantities     []int32
	attributes     []*string
}

// columns returns the lines as the parameters of changeSQL and appendSQL.
func (s *lineSet) columns() []any {
	return []any{s.refs, s.products, s.names, s.prices, s.quantities, s.attributes}
}

func (s *lineSet) add(ref int64, item *cart.Item) {
	s.refs = append(s.refs, ref)
	s.products = append(s.products, item.ProductID)
	s.names = append(s.names, item.Name)
	s.prices = append(s.prices, int64(item.Price))
	s.quantities = append(s.quantities, int32(item.Quantity))
	s.attributes = append(s.attributes, nullable(string(item.Attributes)))
}

// newChangeSet sorts the changes, so that all batches lock and create in one order.
func newChangeSet(changes []cart.Change) *changeSet {
	order := make([]int, len(changes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareKeys(changes[a].Cart, changes[b].Cart) })
	set := &changeSet{index: make(map[int64]int, len(changes))}
	for i := range changes {
		ch := &changes[i]
		set.amended = set.amended || ch.Amends || ch.Group > 0
	}
	for _, i := range order {
		set.index[set.add(&changes[i])] = i
	}
	return set
}

// compareKeys orders carts by id, and new ones by company and owner, the keys of the unique indexes.
func compareKeys(a, b *cart.Cart) int {
	ao, bo := a.Owner(), b.Owner()
	return cmp.Or(
		cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.CompanyID, b.CompanyID),
		cmp.Compare(ao.UserID, bo.UserID),
		cmp.Compare(ao.Cookie, bo.Cookie),
	)
}

// locks returns the ids of the carts that the changes lock.
func (s *changeSet) locks() []int64 {
	locks := slices.Concat(s.ids, s.deletes)
	for i, id := range s.keeps {
		if s.keepGroups[i] > 0 {
			locks = append(locks, id)
		}
	}
	return locks
}

// add adds a change and returns the ref of its cart.
func (s *changeSet) add(ch *cart.Change) (ref int64) {
	c := ch.Cart
	group := int32(ch.Group)
	switch ref = c.ID; {
	case ref == 0:
		s.companies = append(s.companies, c.CompanyID)
		s.users = append(s.users, c.UserID)
		s.cookies = append(s.cookies, c.Cookie)
		s.newVersions = append(s.newVersions, c.Version)
		s.newAttributes = append(s.newAttributes, nullable(string(c.Attributes)))
		ref = -int64(len(s.companies))
	case ch.Keep:
		s.keeps = append(s.keeps, ref)
		s.keepGroups = append(s.keepGroups, group)
	case ch.Delete:
		s.deletes = append(s.deletes, ref)
		s.deletesWas = append(s.deletesWas, ch.Was)
		s.deleteGroups = append(s.deleteGroups, group)
	default:
		s.ids = append(s.ids, ref)
		s.was = append(s.was, ch.Was)
		s.versions = append(s.versions, c.Version)
		s.statuses = append(s.statuses, int16(c.Status))
		s.groups = append(s.groups, group)
		if s.amended {
			s.amendments.add(c)
		}
	}
	if group > 0 {
		s.grouped.ids = append(s.grouped.ids, ref)
		s.grouped.was = append(s.grouped.was, ch.Was)
		s.grouped.groups = append(s.grouped.groups, group)
	}
	for i := range ch.Receipts {
		s.receipts.add(ref, &ch.Receipts[i])
	}
	if ch.Keep {
		return ref
	}
	if owner := c.Owner(); ch.Activates && owner.Cookie != "" {
		s.guestCompanies = append(s.guestCompanies, c.CompanyID)
		s.guestCookies = append(s.guestCookies, owner.Cookie)
	}
	for _, product := range ch.Drop {
		s.dropCarts = append(s.dropCarts, ref)
		s.dropProducts = append(s.dropProducts, product)
	}
	for i := range ch.Put {
		if line := &ch.Put[i]; line.Append {
			s.appended.add(ref, &line.Item)
		} else {
			s.changed.add(ref, &line.Item)
		}
	}
	return ref
}
