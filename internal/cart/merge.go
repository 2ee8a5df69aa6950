package cart

import (
	"cmp"
	"slices"
)

// MergePolicy says what becomes of the lines when a guest's cart is merged into a user's.
type MergePolicy uint8

// The policies. Except with MergeReplace and MergeKeep, each line that only one cart has is in the merged cart.
const (
	MergeMax     MergePolicy = iota + 1 // a product that both have: the larger quantity, and the guest's name, price and attributes
	MergeSum                            // a product that both have: the sum, at most [MaxQuantity], and the guest's name, price and attributes
	MergeGuest                          // a product that both have: the guest's line
	MergeUser                           // a product that both have: the user's line
	MergeReplace                        // only the guest's lines
	MergeKeep                           // only the user's lines

	release // as MergeMax, with the name, price and attributes of the cart that is merged into
)

// policyNames are the names of the policies, as in the contract.
var policyNames = map[string]MergePolicy{
	"max": MergeMax, "sum": MergeSum, "guest": MergeGuest, "user": MergeUser, "replace": MergeReplace, "keep": MergeKeep,
}

// ParseMergePolicy returns the policy of that name, or an error about the field "policy".
func ParseMergePolicy(name string) (MergePolicy, error) {
	p, ok := policyNames[name]
	return p, check("policy", ok)
}

// String returns the name of the policy, as in the contract.
func (p MergePolicy) String() string {
	for name, policy := range policyNames {
		if policy == p {
			return name
		}
	}
	return "unknown"
}

// Merge asks that the carts of a guest, who has signed in, become those of the user.
type Merge struct {
	UserID    int64
	Cookie    string // "": nothing is merged
	Policy    MergePolicy
	CompanyID int64 // 0: at all companies
}

// Validate checks each field by itself; its error is CodeInvalid and names all that are wrong.
func (m Merge) Validate() error {
	return Invalid(
		checkID("user_id", m.UserID),
		check("cookie", m.Cookie == "" || ValidCookie(m.Cookie)),
		check("policy", MergeMax <= m.Policy && m.Policy <= MergeKeep),
		check("company_id", m.CompanyID >= 0),
	)
}

// MergeResult says what became of a guest's cart.
type MergeResult uint8

// What may become of a guest's cart.
const (
	ResultMerged MergeResult = iota + 1 // its lines are in the user's cart
	ResultMoved                         // it is the user's cart now
	ResultFailed                        // nothing; repeating the merge may help
)

// String returns the name of the result, as in the contract.
func (r MergeResult) String() string {
	return [...]string{"", "merged", "moved", "failed"}[r]
}

// MergedCart is what became of a guest's cart at one company.
type MergedCart struct {
	CompanyID int64
	From      int64 // the guest's cart
	Into      int64 // the cart that has the lines now; From itself where it was moved or the merge failed
	Result    MergeResult
	Status    Status  // of the cart that has the lines now
	Left      []int64 // products that did not fit, whose lines are still in the guest's cart
}

// Merged is the answer to a [Merge].
type Merged struct {
	Carts  []MergedCart // in the order of their companies
	Basket *Basket      // of the user
	More   bool         // there are more carts to merge; the request is to be repeated
}

// MergeCarts merges carts of a guest into those of a user. It is a [Joint]; after it has been applied, Results says what
// became of each cart.
type MergeCarts struct {
	Merge
	IDs       []int64 // the guest's carts
	Companies []int64 // of these carts, in the same order

	Results []MergedCart
}

// Refs implements [Joint].
func (m *MergeCarts) Refs() []Ref {
	refs := make([]Ref, 0, 2*len(m.IDs))
	for i, id := range m.IDs {
		refs = append(refs, ByID(id), ActiveOf(m.Companies[i], User(m.UserID)))
	}
	return refs
}

// Apply implements [Joint]. Carts that are no longer the guest's, or are ordered or cancelled, are left as they are.
func (m *MergeCarts) Apply(found Found) (Outcome, error) {
	m.Results = nil
	var o Outcome
	for _, id := range m.IDs {
		guest := found[ByID(id)]
		if guest == nil || guest.Owner() != Guest(m.Cookie) || guest.Status != Active && guest.Status != Locked {
			continue
		}
		user := found[ActiveOf(guest.CompanyID, User(m.UserID))]
		switch {
		case guest.Status == Active && len(guest.Items) == 0:
			o.Changed = append(o.Changed, guest.gone())
		case guest.Status == Active && user != nil:
			o.Changed = append(o.Changed, m.merge(guest, user)...)
		default:
			o.Changed = append(o.Changed, m.move(guest))
		}
	}
	slices.SortStableFunc(m.Results, func(a, b MergedCart) int { return cmp.Compare(a.CompanyID, b.CompanyID) })
	return o, nil
}

// move returns the guest's cart as the user's.
func (m *MergeCarts) move(guest *Cart) *Cart {
	next := *guest
	next.UserID, next.Cookie = User(m.UserID).stored()
	next.Rival = false
	next.Version++
	m.Results = append(m.Results, MergedCart{
		CompanyID: guest.CompanyID, From: guest.ID, Into: guest.ID, Result: ResultMoved, Status: guest.Status,
	})
	return &next
}

// merge returns the carts that change when the guest's cart is merged into the user's.
func (m *MergeCarts) merge(guest, user *Cart) (changed []*Cart) {
	into, left := mergeInto(user, guest, m.Policy)
	result := MergedCart{CompanyID: guest.CompanyID, From: guest.ID, Into: user.ID, Result: ResultMerged, Status: Active}
	for i := range left {
		result.Left = append(result.Left, left[i].ProductID)
	}
	m.Results = append(m.Results, result)
	if into != user {
		changed = append(changed, into)
	}
	switch {
	case len(left) == 0:
		changed = append(changed, guest.gone())
	case len(left) < len(guest.Items):
		rest := *guest
		rest.Items = left
		rest.Version++
		changed = append(changed, &rest)
	}
	return changed
}

// gone returns the cart without its lines, to be deleted.
func (c *Cart) gone() *Cart {
	next := *c
	next.Items = nil
	next.Gone = true
	next.Version++
	return &next
}

// mergeInto returns the cart with the lines of another one, by the policy; c itself where that changes nothing. Left are the
// other's lines that did not fit.
func mergeInto(c, from *Cart, p MergePolicy) (_ *Cart, left []Item) {
	next := *c
	next.Items = make([]Item, 0, len(c.Items)+len(from.Items))
	for _, item := range c.Items {
		switch at := lineOf(from.Items, item.ProductID); {
		case at >= 0:
			next.Items = append(next.Items, p.both(item, from.Items[at]))
		case p != MergeReplace:
			next.Items = append(next.Items, item)
		}
	}
	next.Attributes = c.Attributes.and(from.Attributes, MaxCartAttributes)
	room := MaxAllAttributes - next.size()
	if room < 0 {
		// The other cart's attributes are too large here. Those of c fitted.
		for i := range next.Items {
			if at := lineOf(c.Items, next.Items[i].ProductID); at >= 0 {
				next.Items[i].Attributes = c.Items[at].Attributes
			}
		}
		next.Attributes = c.Attributes
		room = max(0, MaxAllAttributes-next.size())
	}
	for _, item := range from.Items {
		switch size := item.Attributes.size(); {
		case p == MergeKeep || lineOf(c.Items, item.ProductID) >= 0:
		case len(next.Items) >= MaxLines || size > room:
			left = append(left, item)
		default:
			room -= size
			next.Items = append(next.Items, item)
		}
	}
	if next.Attributes == c.Attributes && slices.Equal(next.Items, c.Items) {
		return c, left
	}
	next.Version++
	return &next, left
}

// both returns the line of a product that both carts have: mine is that of the cart that is merged into.
func (p MergePolicy) both(mine, other Item) Item {
	merged := other
	switch p {
	case MergeGuest, MergeReplace:
	case MergeUser, MergeKeep:
		return mine
	case MergeMax:
		merged.Quantity = max(mine.Quantity, other.Quantity)
	case MergeSum:
		merged.Quantity = max(mine.Quantity, other.Quantity, min(mine.Quantity+other.Quantity, MaxQuantity))
	case release:
		merged = mine
		merged.Quantity = max(mine.Quantity, other.Quantity)
	}
	if merged.Attributes == "" {
		merged.Attributes = mine.Attributes
	}
	return merged
}
