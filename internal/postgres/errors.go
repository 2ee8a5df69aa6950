package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sellio/sellio-cart/internal/cart"
)

// acquireError is the failure to get a connection: nothing was sent.
type acquireError struct{ error }

func (e *acquireError) Unwrap() error { return e.error }

// deadError is the failure of a connection before anything was asked on it.
type deadError struct{ error }

func (e *deadError) Unwrap() error { return e.error }

// scanError is the failure to read what the database answered: the connection is well, and the row is not as the schema
// has it.
type scanError struct{ error }

func (e *scanError) Unwrap() error { return e.error }

// sqlState returns the SQLSTATE of an error that the server reported, "" of any other.
func sqlState(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}

// SQLSTATEs that say what to do (PostgreSQL, appendix A).
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	readOnlyTransaction  = "25006" // a standby, after a failover
	lockNotAvailable     = "55P03"
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	undefinedTable       = "42P01"

	insufficientPrivilege = "42501"
)

// broken reports whether the connection was lost, so that another one may do better.
func broken(err error) bool {
	if _, ok := errors.AsType[*deadError](err); ok {
		return true
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code == adminShutdown || pe.Code == crashShutdown
	}
	if _, ok := errors.AsType[*acquireError](err); ok {
		return false // the pool has tried already
	}
	_, ok := errors.AsType[*scanError](err)
	return !ok
}

// harmless reports whether it is certain that the statement had no effect: the server said that it
// failed, which it does before COMMIT only, or it never got it.
func harmless(err error) bool {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*acquireError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*deadError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err)
}

// classify turns an error of pgx into one of the domain.
func classify(err error, write bool) *cart.Error {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if write && !harmless(err) {
			return cart.OutcomeUnknown(err)
		}
		if _, ok := errors.AsType[*scanError](err); ok {
			return internal(err)
		}
		return cart.Unavailable(err)
	}
	switch pe.Code {
	case uniqueViolation, serializationFailure, deadlockDetected, lockNotAvailable:
		return &cart.Error{Code: cart.CodeConflict, Detail: cart.ErrConflict.Detail, Cause: err}
	case readOnlyTransaction:
		return cart.Unavailable(err)
	}
	switch pe.Code[:2] {
	case "22", "23": // data exception, integrity constraint violation
		return cart.Refused(err)
	case "08", "53", "57", "58": // connection, resources, operator, system
		return cart.Unavailable(err)
	}
	return internal(err)
}

// internal is the failure of a database that is not as the migrations made it, or of this package.
func internal(err error) *cart.Error {
	return &cart.Error{Code: cart.CodeInternal, Detail: "The database answered what it never should.", Cause: err}
}
