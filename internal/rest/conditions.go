package rest

import (
	"net/http"
	"strings"

	"github.com/sellio/sellio-cart/internal/cart"
)

var (
	errIfMatch = &refusal{http.StatusBadRequest,
		`The header If-Match cannot be read. It must be * or a list of tags, such as "17-5".`}
	errIfNoneMatch = &refusal{http.StatusBadRequest,
		`The header If-None-Match cannot be read. It must be * or a list of tags, such as "17-5".`}
	errKey = &refusal{http.StatusBadRequest,
		"The header Idempotency-Key cannot be read. It must be sent once, with 1 to 255 visible ASCII characters, in quotes or not."}
	errMatchesMany = &refusal{http.StatusBadRequest, "The headers If-Match and If-None-Match are for requests about one cart."}
	errMatchWrite  = &refusal{http.StatusBadRequest, "The header If-None-Match is for reads. A write may have If-Match."}
)

// errNotModified answers a read whose client has the cart as it is.
var errNotModified = &refusal{status: http.StatusNotModified}

// conditions adds to a write about one cart what its headers ask.
func conditions(h http.Header, r *cart.Request) error {
	if len(h["If-None-Match"]) > 0 {
		return errMatchWrite
	}
	if lines := h["If-Match"]; len(lines) > 0 {
		match, err := cart.ParseMatch(strings.Join(lines, ","))
		if err != nil {
			return errIfMatch
		}
		r.Match = match
	}
	var err error
	r.Key, err = keyOf(h)
	return err
}

// manyConditions is conditions for a write about several carts.
func manyConditions(h http.Header, r *cart.Request) (err error) {
	if len(h["If-Match"]) > 0 || len(h["If-None-Match"]) > 0 {
		return errMatchesMany
	}
	r.Key, err = keyOf(h)
	return err
}

// keyOf returns the idempotency key of a write, "" if it has none.
func keyOf(h http.Header) (string, error) {
	lines := h["Idempotency-Key"]
	switch len(lines) {
	case 0:
		return "", nil
	case 1:
		key, err := cart.ParseKey(lines[0])
		if err != nil {
			return "", errKey
		}
		return key, nil
	default:
		return "", errKey
	}
}

// checkModified returns errNotModified if the client has the cart as it is, by the tags in its If-None-Match.
func checkModified(h http.Header, c *cart.Cart) error {
	lines := h["If-None-Match"]
	if len(lines) == 0 {
		return nil
	}
	match, err := cart.ParseMatch(strings.Join(lines, ","))
	if err != nil {
		return errIfNoneMatch
	}
	if match.Matches(c) {
		return errNotModified
	}
	return nil
}

// tag sets the header ETag. A cart that is gone has none.
func (v *visit) tag(c *cart.Cart) {
	if c != nil && !c.Gone {
		v.Header()["Etag"] = []string{c.Tag().String()}
	}
}
