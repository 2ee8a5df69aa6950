package cart_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

func TestInvalid(t *testing.T) {
	t.Parallel()
	if err := cart.Invalid(); err != nil {
		t.Errorf("nothing merged: %v", err)
	}
	if err := cart.Invalid(nil, nil); err != nil {
		t.Errorf("nothing wrong: %v", err)
	}
	wantFields(t, cart.Invalid(nil, cart.InvalidField("name"), nil, cart.InvalidField("price", "limit")), "name", "price", "limit")
	// Merged once more, and wrapped on the way.
	merged := cart.Invalid(cart.InvalidField("name"), cart.InvalidField("price"))
	wantFields(t, cart.Invalid(fmt.Errorf("in a list: %w", merged), cart.InvalidField("ids")), "name", "price", "ids")
	// Another failure matters more.
	for _, other := range []error{io.EOF, cart.ErrNotFound} {
		if err := cart.Invalid(cart.InvalidField("name"), other, cart.InvalidField("price")); err != other {
			t.Errorf("%v, want %v", err, other)
		}
	}
}

func TestInvalidUnknownField(t *testing.T) {
	t.Parallel()
	e := cart.InvalidField("colour")
	if len(e.Fields) != 1 || e.Fields[0].Field != "colour" || e.Fields[0].Detail == "" || !strings.Contains(e.Detail, "colour") {
		t.Errorf("%+v", e)
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want cart.Code
	}{
		{nil, cart.CodeNone},
		{io.EOF, cart.CodeInternal},
		{cart.ErrNotFound, cart.CodeNotFound},
		{cart.ErrConflict, cart.CodeConflict},
		{cart.ErrOverloaded, cart.CodeOverloaded},
		{cart.Unavailable(io.EOF), cart.CodeUnavailable},
		{cart.OutcomeUnknown(io.EOF), cart.CodeOutcomeUnknown},
		{cart.Refused(io.EOF), cart.CodeRefused},
		{fmt.Errorf("wrapped: %w", cart.ErrNotFound), cart.CodeNotFound},
		{errors.Join(io.EOF, cart.Refused(cart.ErrNotFound)), cart.CodeRefused},
	} {
		if got := cart.CodeOf(test.err); got != test.want {
			t.Errorf("%v has code %d, want %d", test.err, got, test.want)
		}
	}
}

// The log sees the cause, callers never do.
func TestErrorHalves(t *testing.T) {
	t.Parallel()
	cause := errors.New("password authentication failed for user cart")
	for _, e := range []*cart.Error{cart.Unavailable(cause), cart.OutcomeUnknown(cause), cart.Refused(cause)} {
		if !errors.Is(e, cause) || !strings.Contains(e.Error(), cause.Error()) {
			t.Errorf("%v hides its cause from the log", e)
		}
		if e.Detail == "" || strings.Contains(e.Detail, cause.Error()) {
			t.Errorf("callers are told %q", e.Detail)
		}
	}
	if got := cart.ErrNotFound.Error(); got != cart.ErrNotFound.Detail {
		t.Errorf("%q, want %q", got, cart.ErrNotFound.Detail)
	}
}
