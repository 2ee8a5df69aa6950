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
	return true
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
		return cart.Unavailable(err)
	}
	switch pe.Code {
	case uniqueViolation, serializationFailure, deadlockDetected:
		return &cart.Error{Code: cart.CodeConflict, Detail: cart.ErrConflict.Detail, Cause: err}
	case readOnlyTransaction, lockNotAvailable:
		return cart.Unavailable(err)
	}
	switch pe.Code[:2] {
	case "22", "23": // data exception, integrity constraint violation
		return cart.Refused(err)
	case "08", "53", "57", "58": // connection, resources, operator, system
		return cart.Unavailable(err)
	}
	return &cart.Error{Code: cart.CodeInternal, Detail: "The database answered what it never should.", Cause: err}
}
