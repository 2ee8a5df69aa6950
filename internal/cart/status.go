package cart

import "strconv"

// Status is where a cart is on its way from shelf to order. The numbers are part of the contract.
type Status int16

// The statuses of a cart.
const (
	Active     Status = 1 // being filled
	Locked     Status = 2 // being paid
	CheckedOut Status = 3 // ordered; final
	Cancelled  Status = 4 // given up; final
)

// ParseStatus returns n as a Status, or an error about the field "status" where it is none.
func ParseStatus(n int64) (Status, error) {
	if n < int64(Active) || n > int64(Cancelled) {
		return 0, InvalidField("status")
	}
	return Status(n), nil
}

// String returns the status's name in the contract, or its number.
func (s Status) String() string {
	switch s {
	case Active:
		return "ACTIVE"
	case Locked:
		return "LOCKED"
	case CheckedOut:
		return "CHECKED_OUT"
	case Cancelled:
		return "CANCELLED"
	default:
		return strconv.Itoa(int(s))
	}
}

// mayBecome reports whether a cart may go from s to next.
func (s Status) mayBecome(next Status) bool {
	switch s {
	case Active:
		return next == Locked || next == CheckedOut || next == Cancelled
	case Locked:
		return next == Active || next == CheckedOut || next == Cancelled
	default:
		return false
	}
}
