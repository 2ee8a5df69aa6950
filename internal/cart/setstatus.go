package cart

import (
	"slices"
	"time"
)

// The limits of locks.
const (
	MinLockSeconds = 10
	MaxLockSeconds = 86_400
	MaxReference   = 255 // characters of a payment's reference
)

// SetStatus changes the status of a cart. Setting the status that it has already changes nothing, except that it may
// extend a lock or name its payment.
type SetStatus struct {
	CartID int64
	Status Status
	// LockSeconds, with LOCKED, is after how long the lock ends by itself: [MinLockSeconds] to [MaxLockSeconds]. 0: never.
	LockSeconds int64 `json:",omitzero"`
	// Reference, with LOCKED and CHECKED_OUT, names the payment. A cart that was locked with a reference is only locked
	// again, or checked out, with the same reference or none.
	Reference string `json:",omitzero"`
	// Versioned means that the caller names the version of the cart, and so may check out with a reference a cart that is
	// not locked. [Request.Apply] sets it.
	Versioned bool `json:"-"`
}

// Ref names the cart by id.
func (s SetStatus) Ref() Ref { return ByID(s.CartID) }

// Validate implements [Command].
func (s SetStatus) Validate() error {
	return Invalid(checkID("cart_id", s.CartID), s.validate())
}

// validate checks all but the id.
func (s SetStatus) validate() error {
	if _, err := ParseStatus(int64(s.Status)); err != nil {
		return err // What may come with it is not known.
	}
	lease := s.LockSeconds == 0 || s.Status == Locked && MinLockSeconds <= s.LockSeconds && s.LockSeconds <= MaxLockSeconds
	named := s.Status == Locked || s.Status == CheckedOut
	return Invalid(check("lock_seconds", lease),
		check("reference", s.Reference == "" || named && isText(s.Reference, MaxReference)))
}

// Apply implements [Command].
func (s SetStatus) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		return nil, ErrNotFound
	}
	if err := s.checkReference(c); err != nil {
		return nil, err
	}
	switch {
	case c.Status == s.Status:
		return s.relock(c), nil
	case len(c.Items) == 0:
		return nil, errEmpty
	case !c.Status.mayBecome(s.Status):
		return nil, errTransition(c.Status, s.Status)
	case s.Status == CheckedOut && s.Reference != "" && c.Status == Active && !s.Versioned:
		return nil, errNotLocked(c)
	case s.Status == Active && c.Rival:
		return nil, errHasRival
	}
	if at := slices.IndexFunc(c.Items, Item.unpriced); at >= 0 && (s.Status == Locked || s.Status == CheckedOut) {
		return nil, errUnpriced(c.Items[at].ProductID, s.Status)
	}
	next := *c
	next.Status = s.Status
	next.Rival = false
	next.LockedUntil, next.Lease = time.Time{}, s.lease()
	switch {
	case s.Status == Active:
		next.leaveOwner()
		next.Reference = ""
	case s.Reference != "":
		next.Reference = s.Reference
	}
	next.Version++
	return &next, nil
}

// checkReference returns an error if the cart is locked for another payment, or was ordered with another one.
func (s SetStatus) checkReference(c *Cart) error {
	switch {
	case s.Reference == "" || s.Reference == c.Reference:
		return nil
	case c.Status == Locked && c.Reference != "":
		return errLocked(c)
	case c.Status == CheckedOut && s.Status == CheckedOut:
		return errAlreadyCheckedOut(c)
	default:
		return nil
	}
}

// relock returns the cart, which has the status already, with a lock that lasts longer or now has a reference. A lock that
// never ends stays so.
func (s SetStatus) relock(c *Cart) *Cart {
	next := *c
	if s.Status == Locked {
		if s.LockSeconds > 0 && (!c.LockedUntil.IsZero() || c.Lease > 0) {
			next.Lease = max(c.Lease, s.lease())
			next.Version = c.Version + 1
		}
		if s.Reference != "" && c.Reference == "" {
			next.Reference = s.Reference
			next.Version = c.Version + 1
		}
	}
	if next.Version == c.Version {
		return c
	}
	return &next
}

func (s SetStatus) lease() time.Duration { return time.Duration(s.LockSeconds) * time.Second }

// leaveOwner clears the user or the cookie, whichever does not own the cart. Carts of the Python service may have both,
// and the other one may belong to another ACTIVE cart by now.
func (c *Cart) leaveOwner() {
	if c.Owner().UserID > 0 {
		c.Cookie = nil
	} else {
		c.UserID = nil
	}
}
