package postgres

import (
	"errors"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sellio/sellio-cart/internal/cart"
)

// acquireError is the failure to get a connection: nothing was sent.
type acquireError struct{ error }

func (e *acquireError) Unwrap() error { return e.error }

// deadError is the failure of a pooled connection before a statement was sent on it.
type deadError struct{ error }

func (e *deadError) Unwrap() error { return e.error }

// scanError is the failure to read a row: the connection works, but the row is not as the schema has it.
type scanError struct{ error }

func (e *scanError) Unwrap() error { return e.error }

func isScan(err error) bool {
	_, ok := errors.AsType[*scanError](err)
	return ok
}

// SQLSTATEs that say what to do (PostgreSQL, appendix A).
const (
	featureNotSupported        = "0A000" // the result of a prepared plan has another type now
	cardinalityViolation       = "21000" // an owner with two ACTIVE carts
	uniqueViolation            = "23505"
	readOnlyTransaction        = "25006" // a standby after a failover, or a setting of an administrator
	invalidStatementName       = "26000" // a prepared statement that is gone
	invalidSchemaName          = "3F000"
	serializationFailure       = "40001"
	deadlockDetected           = "40P01"
	insufficientPrivilege      = "42501"
	undefinedColumn            = "42703"
	invalidColumnReference     = "42P10" // ON CONFLICT without its unique index
	undefinedTable             = "42P01"
	duplicatePreparedStatement = "42P05"
	lockNotAvailable           = "55P03"
	adminShutdown              = "57P01"
	crashShutdown              = "57P02"
	idleSessionTimeout         = "57P05"
)

// connectionException is the class of errors with which a pooler reports that it lost the server, at any moment.
const connectionException = "08"

// sqlState returns the SQLSTATE of err, "" if it is no answer of the server.
func sqlState(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}

func class(state string) string { return state[:min(len(state), 2)] }

// unsent reports whether the statement was never sent, for want of a working connection.
func unsent(err error) bool {
	_, acquire := errors.AsType[*acquireError](err)
	_, dead := errors.AsType[*deadError](err)
	return acquire || dead
}

// broken reports whether the connection, or a statement prepared on it, was lost, so that another connection may do
// better.
func broken(err error) bool {
	if _, ok := errors.AsType[*deadError](err); ok {
		return true
	}
	switch state := sqlState(err); state {
	case adminShutdown, crashShutdown, idleSessionTimeout:
		return true
	case featureNotSupported, invalidStatementName, duplicatePreparedStatement:
		return true
	default:
		// If no connection could be opened, the pool has tried already.
		return !unsent(err) && !isScan(err) && (state == "" || class(state) == connectionException)
	}
}

// contended reports whether the statement gave way to other transactions. Nothing was done.
func contended(err error) bool {
	return slices.Contains([]string{serializationFailure, deadlockDetected, lockNotAvailable}, sqlState(err))
}

// harmless reports whether it is certain that the statement had no effect: the server reported
// a failure, which it does only before COMMIT, or never received the statement.
func harmless(err error) bool {
	if state := sqlState(err); unsent(err) || state != "" && class(state) != connectionException {
		return true
	}
	return pgconn.SafeToRetry(err)
}

// classify turns an error of pgx into one of the domain.
func classify(err error, write bool) *cart.Error {
	state := sqlState(err)
	switch {
	case write && !harmless(err):
		return cart.OutcomeUnknown(err)
	case isScan(err):
		return internal(err)
	case state == "" || unsent(err):
		return cart.Unavailable(err)
	case state == uniqueViolation, write && contended(err):
		return &cart.Error{Code: cart.CodeConflict, Detail: cart.ErrConflict.Detail, Cause: err}
	case contended(err):
		return cart.Unavailable(err) // a read waits only for schema changes
	}
	switch state {
	case readOnlyTransaction, invalidStatementName, duplicatePreparedStatement:
		return cart.Unavailable(err)
	case insufficientPrivilege, undefinedTable, undefinedColumn, invalidColumnReference, invalidSchemaName, cardinalityViolation:
		// The database is not as the service needs it, as when it is being restored. An operator mends that, so the
		// service is not ready, and a caller that tries again later may be served.
		return cart.Unavailable(err)
	}
	switch class(state) {
	case "22", "23": // data exception, integrity constraint violation
		return cart.Refused(err)
	case connectionException, "53", "57", "58": // connection, resources, operator, system
		return cart.Unavailable(err)
	}
	return internal(err)
}

// internal is the failure of a database that is not as the migrations made it, or of this package.
func internal(err error) *cart.Error {
	return &cart.Error{Code: cart.CodeInternal, Detail: "The database answered what it never should.", Cause: err}
}
