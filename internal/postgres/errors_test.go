package postgres

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sellio/sellio-cart/internal/cart"
)

// TestWhatErrorsMean goes through answers of servers and poolers that tests cannot get from PostgreSQL at will.
func TestWhatErrorsMean(t *testing.T) {
	t.Parallel()
	answer := func(state string) error { return &pgconn.PgError{Severity: "ERROR", Code: state} }
	for _, tc := range []struct {
		what        string
		err         error
		broken      bool
		read, write cart.Code
	}{
		{"the connection broke", io.ErrUnexpectedEOF, true, cart.CodeUnavailable, cart.CodeOutcomeUnknown},
		{"a pooler lost the server", answer("08P01"), true, cart.CodeUnavailable, cart.CodeOutcomeUnknown},
		{"a connection failure", answer("08006"), true, cart.CodeUnavailable, cart.CodeOutcomeUnknown},
		{"the pool has none", &acquireError{io.EOF}, false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"a pooler has no server", &acquireError{answer("08P01")}, false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"the password is wrong", &acquireError{answer("28P01")}, false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"an idle connection died", &deadError{answer("08P01")}, true, cart.CodeUnavailable, cart.CodeUnavailable},
		{"the server shuts down", answer("57P01"), true, cart.CodeUnavailable, cart.CodeUnavailable},
		{"the session was idle", answer("57P05"), true, cart.CodeUnavailable, cart.CodeUnavailable},
		{"a timeout of the server", answer("57014"), false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"a plan of another type", answer("0A000"), true, cart.CodeInternal, cart.CodeInternal},
		{"no such statement", answer("26000"), true, cart.CodeUnavailable, cart.CodeUnavailable},
		{"statement there already", answer("42P05"), true, cart.CodeUnavailable, cart.CodeUnavailable},
		{"read-only", answer("25006"), false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"a lock", answer("55P03"), false, cart.CodeUnavailable, cart.CodeConflict},
		{"a deadlock", answer("40P01"), false, cart.CodeUnavailable, cart.CodeConflict},
		{"a serialization failure", answer("40001"), false, cart.CodeUnavailable, cart.CodeConflict},
		{"a second ACTIVE cart", answer("23505"), false, cart.CodeConflict, cart.CodeConflict},
		{"a rule's index is gone", answer("42P10"), false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"no such schema", answer("3F000"), false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"a number is too large", answer("22003"), false, cart.CodeRefused, cart.CodeRefused},
		{"the disk is full", answer("53100"), false, cart.CodeUnavailable, cart.CodeUnavailable},
		{"a syntax error", answer("42601"), false, cart.CodeInternal, cart.CodeInternal},
		{"a state of its own", answer("X"), false, cart.CodeInternal, cart.CodeInternal},
	} {
		for _, err := range []error{tc.err, fmt.Errorf("wrapped: %w", tc.err), errors.Join(tc.err, tc.err)} {
			if got := broken(err); got != tc.broken {
				t.Errorf("%s: broken %t, want %t", tc.what, got, tc.broken)
			}
			if got := classify(err, false).Code; got != tc.read {
				t.Errorf("%s, of a read: code %d, want %d", tc.what, got, tc.read)
			}
			if got := classify(err, true).Code; got != tc.write {
				t.Errorf("%s, of a write: code %d, want %d", tc.what, got, tc.write)
			}
		}
	}
}
