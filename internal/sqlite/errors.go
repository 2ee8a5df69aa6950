package sqlite

import (
	"errors"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/sellio/sellio-cart/internal/cart"
)

// code returns SQLite's extended result code, or SQLITE_OK where err is none of SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return lib.SQLITE_OK
}

// primary returns the primary code that an extended one refines.
func primary(code int) int { return code & 0xff }

// isTaken reports whether err says that another row has what must be unique.
func isTaken(err error) bool { return code(err) == lib.SQLITE_CONSTRAINT_UNIQUE }

// classify turns an error of a read, or of a transaction that is rolled back, into one of the domain.
func classify(err error) *cart.Error {
	if code(err) == lib.SQLITE_CONSTRAINT_PRIMARYKEY || isTaken(err) { // a receipt, or another ACTIVE cart
		return &cart.Error{Code: cart.CodeConflict, Detail: cart.ErrConflict.Detail, Cause: err}
	}
	switch primary(code(err)) {
	case lib.SQLITE_CONSTRAINT, lib.SQLITE_MISMATCH, lib.SQLITE_TOOBIG:
		return cart.Refused(err)
	case lib.SQLITE_ERROR, lib.SQLITE_MISUSE, lib.SQLITE_RANGE, lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return internal(err)
	default: // busy, locked, out of space or memory, input and output, a context that ended
		return cart.Unavailable(err)
	}
}

// classifyCommit turns an error of COMMIT into one of the domain. SQLite rolls back what it cannot
// commit; but when the disk fails, its writes may still be found after a crash.
func classifyCommit(err error) *cart.Error {
	switch primary(code(err)) {
	case lib.SQLITE_OK, lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_INTERRUPT, lib.SQLITE_CONSTRAINT:
		return classify(err)
	default:
		return cart.OutcomeUnknown(err)
	}
}

// internal is the failure of a database that is not as the migrations made it, or a bug of this package.
func internal(err error) *cart.Error {
	return &cart.Error{Code: cart.CodeInternal, Detail: "The database answered what it never should.", Cause: err}
}
