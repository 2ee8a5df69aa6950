package cart

import "fmt"

// Owner is the owner of a cart: a signed-in user or a guest. The zero Owner is nobody and owns
// nothing. Owners can be compared with ==.
type Owner struct {
	UserID int64  // > 0: a signed-in user
	Cookie string // not empty: a guest
}

// User is the owner with that id; nobody if id is not positive.
func User(id int64) Owner {
	if id <= 0 {
		return Owner{}
	}
	return Owner{UserID: id}
}

// Guest is the owner with that cookie; nobody if it is empty.
func Guest(cookie string) Owner { return Owner{Cookie: cookie} }

// IsNobody reports whether there is no owner at all.
func (o Owner) IsNobody() bool { return o == Owner{} }

// stored returns the owner as a cart stores it: as a user or as a cookie, with the other one nil.
func (o Owner) stored() (userID *int64, cookie *string) {
	if o.UserID > 0 {
		return &o.UserID, nil
	}
	return nil, &o.Cookie
}

// String names the kind of owner; a cookie is a secret and is never shown.
func (o Owner) String() string {
	switch {
	case o.UserID > 0:
		return fmt.Sprintf("user %d", o.UserID)
	case o.Cookie != "":
		return "guest"
	default:
		return "nobody"
	}
}

// ValidCookie reports whether s can be a guest's cookie: 1 to [MaxCookie] characters, all of them
// such that a cookie can carry them (RFC 6265, section 4.1.1, cookie-octet).
func ValidCookie(s string) bool {
	if s == "" || len(s) > MaxCookie {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c >= 0x7f, c == '"', c == ',', c == ';', c == '\\':
			return false
		}
	}
	return true
}
