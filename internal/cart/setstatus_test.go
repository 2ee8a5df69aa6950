package cart

import (
	"errors"
	"testing"
	"time"
)

// inStatus returns a cart with a line, which a payment may have.
func inStatus(status Status, reference string) *Cart {
	c := ownedBy(User(7), 1, mergeLine(1, 1, "n"))
	c.Status, c.Reference = status, reference
	return c
}

func TestReferences(t *testing.T) {
	for _, tt := range []struct {
		name      string
		cart      *Cart
		status    Status
		reference string
		versioned bool
		code      Code
		changed   bool
		want      string // reference afterwards
	}{
		{"a payment locks", inStatus(Active, ""), Locked, "p", false, CodeNone, true, "p"},
		{"the same payment locks again", inStatus(Locked, "p"), Locked, "p", false, CodeNone, false, "p"},
		{"another payment locks", inStatus(Locked, "p"), Locked, "q", false, CodeLocked, false, ""},
		{"a payment takes a lock without one", inStatus(Locked, ""), Locked, "p", false, CodeNone, true, "p"},
		{"without a reference it is as before", inStatus(Locked, "p"), Locked, "", false, CodeNone, false, "p"},
		{"the payment orders", inStatus(Locked, "p"), CheckedOut, "p", false, CodeNone, true, "p"},
		{"another payment orders", inStatus(Locked, "p"), CheckedOut, "q", false, CodeLocked, false, ""},
		{"an order without a reference", inStatus(Locked, "p"), CheckedOut, "", false, CodeNone, true, "p"},
		{"a payment orders what is not locked", inStatus(Active, ""), CheckedOut, "p", false, CodeNotLocked, false, ""},
		{"unless it names the version", inStatus(Active, ""), CheckedOut, "p", true, CodeNone, true, "p"},
		{"ordered with the same payment", inStatus(CheckedOut, "p"), CheckedOut, "p", false, CodeNone, false, "p"},
		{"ordered with another payment", inStatus(CheckedOut, "p"), CheckedOut, "q", false, CodeAlreadyCheckedOut, false, ""},
		{"ordered without a payment", inStatus(CheckedOut, ""), CheckedOut, "q", false, CodeAlreadyCheckedOut, false, ""},
		{"ordered, and asked without a payment", inStatus(CheckedOut, "p"), CheckedOut, "", false, CodeNone, false, "p"},
		{"unlocking clears it", inStatus(Locked, "p"), Active, "", false, CodeNone, true, ""},
		{"cancelling keeps it", inStatus(Locked, "p"), Cancelled, "", false, CodeNone, true, "p"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := SetStatus{CartID: 1, Status: tt.status, Reference: tt.reference, Versioned: tt.versioned}.Apply(tt.cart)
			if CodeOf(err) != tt.code {
				t.Fatalf("%v, want code %d", err, tt.code)
			}
			if e, ok := errors.AsType[*Error](err); ok {
				if e.State != tt.cart {
					t.Errorf("the failure is about %+v", e.State)
				}
				return
			}
			if (got != tt.cart) != tt.changed || got.Reference != tt.want || tt.changed && got.Version != tt.cart.Version+1 {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestLeases(t *testing.T) {
	until := time.Now()
	leased := inStatus(Locked, "")
	leased.LockedUntil = until
	lock := func(seconds int64, c *Cart) *Cart {
		t.Helper()
		got, err := SetStatus{CartID: 1, Status: Locked, LockSeconds: seconds}.Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if c := lock(60, inStatus(Active, "")); c.Lease != time.Minute || !c.LockedUntil.IsZero() {
		t.Errorf("a lock with a lease: %+v", c)
	}
	if c := lock(60, leased); c.Lease != time.Minute || !c.LockedUntil.Equal(until) || c.Version != leased.Version+1 {
		t.Errorf("locking again sets the later end and is a new version: %+v", c)
	}
	if c := lock(0, leased); c != leased {
		t.Errorf("without a lease nothing changes: %+v", c)
	}
	if forever := inStatus(Locked, ""); lock(60, forever) != forever {
		t.Error("a lock that never ends got an end")
	}
	for _, status := range []Status{Active, CheckedOut, Cancelled} {
		if c, err := (SetStatus{CartID: 1, Status: status}).Apply(leased); err != nil || !c.LockedUntil.IsZero() || c.Lease != 0 {
			t.Errorf("%v: %+v, %v", status, c, err)
		}
	}
}

func TestTermsOfLocksAreValidated(t *testing.T) {
	for _, s := range []SetStatus{
		{Status: Locked, LockSeconds: MinLockSeconds - 1}, {Status: Locked, LockSeconds: MaxLockSeconds + 1}, {Status: Locked, LockSeconds: -1},
		{Status: Active, LockSeconds: 60}, {Status: CheckedOut, LockSeconds: 60}, {Status: Active, Reference: "p"}, {Status: Cancelled, Reference: "p"},
		{Status: Locked, Reference: "\x00"}, {Status: Locked, Reference: "\xff"},
	} {
		s.CartID = 1
		if err := s.Validate(); CodeOf(err) != CodeInvalid {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

// both are the carts of one owner at two companies.
func bothIn(status Status) Found {
	a, b := inStatus(status, ""), inStatus(status, "")
	b.ID, b.CompanyID = 2, 2
	return Found{ByID(1): a, ByID(2): b}
}

func TestSeveralStatusesAreSetTogether(t *testing.T) {
	found := bothIn(Active)
	s := SetStatuses{Carts: []Expected{{ID: 2}, {ID: 1, Version: 3}}, Status: Locked, LockSeconds: 60, Reference: "p"}
	out, err := s.Apply(found)
	if err != nil || len(out.Changed) != 2 || len(out.Answer) != 2 || out.Answer[0] != 2 || out.Answer[1] != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	for _, c := range out.Changed {
		if c.Status != Locked || c.Reference != "p" || c.Lease != time.Minute || c.Version != 4 {
			t.Errorf("%+v", c)
		}
	}
}

func TestAllThatStandInTheWayAreListedAndTheWorstDecides(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(Found)
		carts  []Expected
		want   Code
		count  int
	}{
		{"404 before 412", func(f Found) { f[ByID(1)] = nil }, []Expected{{ID: 1}, {ID: 2, Version: 9}}, CodeNotFound, 2},
		{"422 before 412", func(f Found) { f[ByID(2)] = ownedBy(User(8), 2, mergeLine(1, 1, "n")) }, []Expected{{ID: 1, Version: 9}, {ID: 2}}, CodeInvalid, 2},
		{"412 before 409", func(f Found) { f[ByID(2)] = inStatus(Locked, "q"); f[ByID(2)].ID = 2 }, []Expected{{ID: 2}, {ID: 1, Version: 9}}, CodeVersionMismatch, 2},
		{"409 before 400", func(f Found) {
			f[ByID(1)].Items = nil
			f[ByID(2)] = inStatus(Locked, "q")
			f[ByID(2)].ID = 2
		}, []Expected{{ID: 1}, {ID: 2}}, CodeLocked, 2},
		{"400", func(f Found) { f[ByID(1)].Items = nil }, []Expected{{ID: 1}, {ID: 2}}, CodeNotAllowed, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := bothIn(Active)
			tt.change(found)
			out, err := SetStatuses{Carts: tt.carts, Status: Locked, Reference: "p"}.Apply(found)
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != tt.want || len(e.Obstacles) != tt.count || len(out.Changed) > 0 {
				t.Errorf("%+v, %+v", out, e)
			}
		})
	}
}

func TestOwnerlessCartsCountEachAsAnOwner(t *testing.T) {
	found := bothIn(Active)
	for _, c := range found {
		c.UserID = nil
	}
	if _, err := (SetStatuses{Carts: []Expected{{ID: 1}, {ID: 2}}, Status: Locked}).Apply(found); CodeOf(err) != CodeInvalid {
		t.Errorf("two: %v", err)
	}
	if _, err := (SetStatuses{Carts: []Expected{{ID: 1}}, Status: Locked}).Apply(found); err != nil {
		t.Errorf("one: %v", err)
	}
}

func TestReleaseMergesIntoTheOtherCart(t *testing.T) {
	locked := ownedBy(User(7), 1, mergeLine(1, 5, "old"), mergeLine(2, 1, "old"))
	locked.Status, locked.Reference, locked.Rival = Locked, "p", true
	active := ownedBy(User(7), 2, mergeLine(1, 3, "new"))
	s := SetStatuses{Carts: []Expected{{ID: 1}}, Status: Active, Merge: true}
	found := Found{ByID(1): locked}
	_, err := s.Apply(found)
	missing, ok := errors.AsType[*MissingError](err)
	if !ok || len(missing.Refs) != 1 || missing.Refs[0] != ActiveOf(1, User(7)) {
		t.Fatalf("without the other cart: %v", err)
	}
	found[missing.Refs[0]], found[ByID(2)] = active, active
	out, err := s.Apply(found)
	if err != nil || len(out.Changed) != 2 || len(out.Answer) != 1 || out.Answer[0] != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	cancelled, survivor := out.Changed[0], out.Changed[1]
	if cancelled.Status != Cancelled || cancelled.Reference != "p" || len(cancelled.Items) != 2 {
		t.Errorf("the cart that was locked: %+v", cancelled)
	}
	if len(survivor.Items) != 2 || survivor.Items[0] != mergeLine(1, 5, "new").renamed("new") || survivor.Items[1].Name != "old" {
		t.Errorf("the survivor: %+v", survivor.Items)
	}
}

func (i Item) renamed(name string) Item {
	i.Name, i.Price = name, Money(len(name))
	return i
}

func TestFirstOfSeveralCartsOfOneCompanyBecomesActive(t *testing.T) {
	found := bothIn(Locked)
	found[ByID(2)].CompanyID = 1
	s := SetStatuses{Carts: []Expected{{ID: 2}, {ID: 1}}, Status: Active, Merge: true}
	out, err := s.Apply(found)
	if err != nil || len(out.Changed) != 2 || out.Changed[0].Status != Cancelled || out.Changed[1].Status != Active || len(out.Answer) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	s.Merge = false
	if _, err := s.Apply(found); CodeOf(err) != CodeNotAllowed {
		t.Errorf("without merge: %v", err)
	}
}
