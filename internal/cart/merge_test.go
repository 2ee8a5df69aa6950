package cart

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	mergingUser   = 7
	mergingGuest  = "g"
	mergingBudget = MaxLines
)

// line returns a line; whose is part of its name and price.
func mergeLine(product, quantity int64, whose string) Item {
	return Item{ProductID: product, Name: whose, Price: Money(len(whose)), Quantity: quantity}
}

func ownedBy(owner Owner, id int64, items ...Item) *Cart {
	c := newCart(1, owner)
	c.ID, c.Version, c.Items = id, 3, items
	return c
}

// merged applies the merge of the guest's cart, and returns the carts of both and what became of the guest's.
func merged(t testing.TB, p MergePolicy, guest, user *Cart) (guestNow, userNow *Cart, results []MergedCart) {
	t.Helper()
	m := &MergeCarts{Merge: Merge{UserID: mergingUser, Cookie: mergingGuest, Policy: p}, IDs: []int64{guest.ID}, Companies: []int64{1}}
	found := Found{ByID(guest.ID): guest, ActiveOf(1, User(mergingUser)): user}
	out, err := m.Apply(found)
	if err != nil {
		t.Fatal(err)
	}
	guestNow, userNow = guest, user
	for _, c := range out.Changed {
		if c.Version <= 3 {
			t.Errorf("cart %d is changed at version %d", c.ID, c.Version)
		}
		if c.ID == guest.ID {
			guestNow = c
		} else {
			userNow = c
		}
	}
	return guestNow, userNow, m.Results
}

func TestMergePolicies(t *testing.T) {
	guestLine, userLine := mergeLine(1, 3, "guest's"), mergeLine(1, 5, "users'")
	onlyGuest, onlyUser := mergeLine(2, 1, "guest's"), mergeLine(3, 1, "users'")
	withQuantity := func(i Item, quantity int64) Item { i.Quantity = quantity; return i }
	for policy, want := range map[MergePolicy][]Item{
		MergeMax:     {onlyUser, withQuantity(guestLine, 5), onlyGuest},
		MergeSum:     {onlyUser, withQuantity(guestLine, 8), onlyGuest},
		MergeGuest:   {onlyUser, guestLine, onlyGuest},
		MergeUser:    {onlyUser, userLine, onlyGuest},
		MergeReplace: {guestLine, onlyGuest},
		MergeKeep:    {onlyUser, userLine},
	} {
		t.Run(policy.String(), func(t *testing.T) {
			guest, user, results := merged(t, policy,
				ownedBy(Guest(mergingGuest), 1, guestLine, onlyGuest), ownedBy(User(mergingUser), 2, onlyUser, userLine))
			if diff := cmp.Diff(want, user.Items); diff != "" {
				t.Errorf("the user's lines (-want +got):\n%s", diff)
			}
			if !guest.Gone {
				t.Error("the guest's cart is still there")
			}
			if diff := cmp.Diff([]MergedCart{{CompanyID: 1, From: 1, Into: 2, Result: ResultMerged, Status: Active}}, results); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestGuestsOnlyCartMovesUnderEveryPolicy(t *testing.T) {
	for policy := MergeMax; policy <= MergeKeep; policy++ {
		guest, _, results := merged(t, policy, ownedBy(Guest(mergingGuest), 1, mergeLine(1, 1, "g")), nil)
		if guest.Owner() != User(mergingUser) || guest.Cookie != nil || guest.Version != 4 || guest.ID != 1 ||
			len(results) != 1 || results[0].Result != ResultMoved || results[0].Into != 1 {
			t.Errorf("%v: %+v, %+v", policy, guest, results)
		}
	}
}

func TestEmptyCartOfUserIsMergedInto(t *testing.T) {
	guest, user, results := merged(t, MergeMax, ownedBy(Guest(mergingGuest), 1, mergeLine(1, 1, "g")), ownedBy(User(mergingUser), 2))
	if !guest.Gone || len(user.Items) != 1 || results[0].Result != ResultMerged {
		t.Errorf("%+v, %+v, %+v", guest, user, results)
	}
}

func TestEmptyCartOfGuestIsDeleted(t *testing.T) {
	guest, _, results := merged(t, MergeMax, ownedBy(Guest(mergingGuest), 1), nil)
	if !guest.Gone || len(results) != 0 {
		t.Errorf("%+v, %+v", guest, results)
	}
}

func TestLockedCartMovesAndKeepsItsPayment(t *testing.T) {
	locked := ownedBy(Guest(mergingGuest), 1, mergeLine(1, 1, "g"))
	locked.Status, locked.Reference = Locked, "pay"
	guest, user, results := merged(t, MergeMax, locked, ownedBy(User(mergingUser), 2, mergeLine(1, 1, "u")))
	if guest.Owner() != User(mergingUser) || guest.Status != Locked || guest.Reference != "pay" || user.Version != 3 ||
		results[0].Result != ResultMoved || results[0].Status != Locked {
		t.Errorf("%+v, %+v, %+v", guest, user, results)
	}
}

func TestOrderedCartsOfGuestStay(t *testing.T) {
	for _, status := range []Status{CheckedOut, Cancelled} {
		ordered := ownedBy(Guest(mergingGuest), 1, mergeLine(1, 1, "g"))
		ordered.Status = status
		if guest, _, results := merged(t, MergeMax, ordered, nil); guest != ordered || len(results) != 0 {
			t.Errorf("%v: %+v, %+v", status, guest, results)
		}
	}
}

func TestLinesThatDoNotFitStayWithTheGuest(t *testing.T) {
	var full []Item
	for product := range int64(mergingBudget - 1) {
		full = append(full, mergeLine(product+1, 1, "u"))
	}
	guest, user, results := merged(t, MergeSum,
		ownedBy(Guest(mergingGuest), 1, mergeLine(1, 2, "g"), mergeLine(1001, 1, "g"), mergeLine(1002, 1, "g")),
		ownedBy(User(mergingUser), 2, full...))
	if len(user.Items) != MaxLines || user.Items[0].Quantity != 3 || guest.Gone || len(guest.Items) != 1 || guest.Items[0].ProductID != 1002 ||
		!slices.Equal(results[0].Left, []int64{1002}) {
		t.Errorf("the user has %d lines; the guest %+v; %+v", len(user.Items), guest.Items, results)
	}
	// Repeating is a no-op while they do not fit.
	again, still, results := merged(t, MergeSum, withVersion(guest), withVersion(user))
	if len(again.Items) != 1 || again.Version != 3 || still.Version != 3 || !slices.Equal(results[0].Left, []int64{1002}) {
		t.Errorf("again: %+v, version %d, %+v", again, still.Version, results)
	}
}

func withVersion(c *Cart) *Cart {
	n := *c
	n.Version = 3
	return &n
}

func TestSumStaysWithinTheLimit(t *testing.T) {
	_, user, _ := merged(t, MergeSum, ownedBy(Guest(mergingGuest), 1, mergeLine(1, MaxQuantity, "g")),
		ownedBy(User(mergingUser), 2, mergeLine(1, 2, "u")))
	if user.Items[0].Quantity != MaxQuantity {
		t.Errorf("the quantity is %d", user.Items[0].Quantity)
	}
}

func TestAttributesOfCartsAreMergedWithinTheLimits(t *testing.T) {
	guest, user := ownedBy(Guest(mergingGuest), 1, mergeLine(1, 1, "g")), ownedBy(User(mergingUser), 2)
	mine, theirs := map[string]string{"note": "mine"}, map[string]string{"note": "theirs"}
	for i := range MaxAttributes {
		theirs[fmt.Sprintf("k%d", i)] = "v"
	}
	guest.Attributes, user.Attributes = NewAttributes(theirs), NewAttributes(mine)
	_, user, _ = merged(t, MergeMax, guest, user)
	if all := user.Attributes.Map(); all["note"] != "mine" || len(all) != MaxAttributes {
		t.Errorf("the attributes are %v", all)
	}
}

// TestMergesLoseNoLine merges random carts: every product of either is in one of them afterwards, where the policy keeps it.
func TestMergesLoseNoLine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(whose string, most int) (items []Item) {
			for _, product := range rapid.SliceOfNDistinct(rapid.Int64Range(1, 600), 1, most, rapid.ID[int64]).Draw(rt, whose) {
				items = append(items, mergeLine(product, rapid.Int64Range(1, 3).Draw(rt, "quantity"), whose))
			}
			return items
		}
		policy := MergePolicy(rapid.IntRange(int(MergeMax), int(MergeKeep)).Draw(rt, "policy"))
		before, into := ownedBy(Guest(mergingGuest), 1, draw("g", MaxLines)...), ownedBy(User(mergingUser), 2, draw("u", MaxLines)...)
		guest, user, _ := merged(t, policy, before, into)
		if len(user.Items) > MaxLines {
			rt.Fatalf("%d lines", len(user.Items))
		}
		for _, item := range before.Items {
			kept := lineOf(user.Items, item.ProductID) >= 0 || !guest.Gone && lineOf(guest.Items, item.ProductID) >= 0
			if !kept && policy != MergeKeep {
				rt.Fatalf("%v lost the guest's product %d", policy, item.ProductID)
			}
		}
		for _, item := range into.Items {
			if lineOf(user.Items, item.ProductID) < 0 && policy != MergeReplace {
				rt.Fatalf("%v lost the user's product %d", policy, item.ProductID)
			}
		}
	})
}
