package cart

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Code says what kind of failure an [Error] is. Each transport maps codes in one table.
type Code uint8

// The kinds of failure.
const (
	CodeInternal          Code = iota // a bug, or an answer that a store should never give
	CodeInvalid                       // the request breaks a limit; Fields names the fields
	CodeNotFound                      // no such cart or line
	CodeNotAllowed                    // the status cannot change that way, or the cart is empty
	CodeNotActive                     // the lines of the cart cannot change
	CodeFull                          // no more lines fit into the cart
	CodeUnpriced                      // the price of a line is NaN, and the status asked for is for carts that can be paid
	CodeVersionMismatch               // the cart is at another version; State is the cart
	CodeQuantityLimit                 // a quantity would pass [MaxQuantity]
	CodeLocked                        // the cart is locked for another payment; State is the cart
	CodeNotLocked                     // a payment would order a cart that is not locked; State is the cart
	CodeAlreadyCheckedOut             // the cart was ordered with another payment; State is the cart
	CodeKeyReused                     // the key was used for another request
	CodeKeyMissing                    // the command adds, and so needs a key or a version
	CodeConflict                      // other writers kept changing the cart; nothing was done
	CodeOverloaded                    // too much work is waiting; nothing was done
	CodeUnavailable                   // the store is out of reach; nothing was done, repeating may help
	CodeOutcomeUnknown                // the store went away at COMMIT; the whole Save was done, or nothing
	CodeRefused                       // the store refused a whole Save for its data; nothing was done

	CodeUnauthenticated // the caller is not known; nothing was done
	CodeForbidden       // the caller names an owner other than itself; nothing was done
	CodeRateLimited     // the caller creates carts too fast; nothing was done

	CodeNone // no failure
)

// names are the names of kinds of failure that the contract names.
var names = map[Code]string{
	CodeVersionMismatch: "version-mismatch", CodeKeyReused: "idempotency-key-reused", CodeKeyMissing: "idempotency-key-missing",
	CodeQuantityLimit: "quantity-limit", CodeLocked: "locked", CodeNotLocked: "not-locked", CodeAlreadyCheckedOut: "already-checked-out",
}

// Name returns the name of the kind of failure in the contract, "" if it has none.
func (c Code) Name() string { return names[c] }

// Error is a failure with a public half, for the caller, and a private one, for the log.
type Error struct {
	Code   Code
	Detail string        // a sentence for the caller
	Fields []FieldError  // which fields are at fault; only with CodeInvalid
	Cause  error         // for the log; never shown to callers
	Wait   time.Duration // after which repeating may help; only with CodeRateLimited
	State  *Cart         // the cart that the failure is about, where its Code says so
	// Obstacles are all carts that kept a command on several carts from being done. Code and Detail are then those of the
	// worst of them.
	Obstacles []Obstacle
}

// Obstacle is a cart that stands in the way of a command on several carts.
type Obstacle struct {
	ID    int64
	State *Cart  // nil: there is no such cart
	Err   *Error // as for a command on this cart alone
}

// FieldError names a field of a request and says what it may hold.
type FieldError struct {
	Field  string
	Detail string
}

// Error returns the public half and the cause: fit for logs, not for callers.
func (e *Error) Error() string {
	if e.Cause == nil {
		return e.Detail
	}
	return e.Detail + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of the first [Error] in err's tree: CodeInternal where there is none, and CodeNone for nil.
func CodeOf(err error) Code {
	if err == nil {
		return CodeNone
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

// Failures without details of their own.
var (
	ErrNotFound   = &Error{Code: CodeNotFound, Detail: "There is no such cart."}
	ErrConflict   = &Error{Code: CodeConflict, Detail: "The cart is being changed by others at the same time. Please try again."}
	ErrOverloaded = &Error{Code: CodeOverloaded, Detail: "Too much work is waiting. Please try again in a moment."}

	ErrKeyReused  = &Error{Code: CodeKeyReused, Detail: "The idempotency key was used for another request."}
	ErrKeyMissing = &Error{Code: CodeKeyMissing, Detail: "A request that adds to a quantity needs an idempotency key, or the version of the cart."}

	errTooManyAttributes = &Error{Code: CodeFull, Detail: fmt.Sprintf("The attributes of the cart and its lines would have more than %d bytes.", MaxAllAttributes)}
	errOwners            = &Error{Code: CodeInvalid, Detail: "The cart has another owner than the first one.", Fields: []FieldError{{Field: "carts", Detail: "Must be carts of one owner."}}}

	errFull     = &Error{Code: CodeFull, Detail: fmt.Sprintf("The cart already has %d lines; no more fit.", MaxLines)}
	errEmpty    = &Error{Code: CodeNotAllowed, Detail: "The cart is empty; its status cannot change."}
	errHasRival = &Error{Code: CodeNotAllowed, Detail: "The owner has another ACTIVE cart at this company."}
)

// ErrTooManyLines is the failure of a request for more carts by their ids than the largest listing has, where they have
// more lines than that. Asking for fewer at once helps.
var ErrTooManyLines = invalid([]FieldError{{
	Field:  "ids",
	Detail: fmt.Sprintf("Must be at most %d, since these carts have more than %d lines together.", MaxCartsAsked, MaxCartsAsked*MaxLines),
}})

// Unavailable is the failure of a store that could not be reached; nothing was done.
func Unavailable(cause error) *Error {
	return &Error{Code: CodeUnavailable, Detail: "The database is out of reach. Please try again in a moment.", Cause: cause}
}

// OutcomeUnknown is the failure of a store that was asked to save and never answered.
func OutcomeUnknown(cause error) *Error {
	return &Error{
		Code:   CodeOutcomeUnknown,
		Detail: "The database did not confirm the change, which may or may not have been made. The request may be repeated.",
		Cause:  cause,
	}
}

// Refused is the failure of a Save whose data the database rejected; nothing was done.
func Refused(cause error) *Error {
	return &Error{Code: CodeRefused, Detail: "The database refused the change.", Cause: cause}
}

// RateLimited is the failure of a caller that creates carts too fast and may create the next one after wait.
func RateLimited(wait time.Duration) *Error {
	return &Error{Code: CodeRateLimited, Detail: "Too many new carts. Please try again later.", Wait: wait}
}

func errNotActive(c *Cart) *Error {
	return &Error{Code: CodeNotActive, Detail: fmt.Sprintf("The cart is %s; only the lines of an ACTIVE cart can change.", c.Status)}
}

func errNoLine(productID int64) *Error {
	return &Error{Code: CodeNotFound, Detail: fmt.Sprintf("The cart has no product %d.", productID)}
}

func errTransition(from, to Status) *Error {
	return &Error{Code: CodeNotAllowed, Detail: fmt.Sprintf("A cart that is %s cannot become %s.", from, to)}
}

func errUnpriced(productID int64, status Status) *Error {
	return &Error{
		Code:   CodeUnpriced,
		Detail: fmt.Sprintf("The price of product %d is NaN; a cart with such a line cannot become %s. Replace or remove the line.", productID, status),
	}
}

func errQuantityLimit(productID int64) *Error {
	return &Error{Code: CodeQuantityLimit, Detail: fmt.Sprintf("The quantity of product %d would be more than %d.", productID, MaxQuantity)}
}

// errVersion is the failure of a request that expects another version. A nil cart means that there is none.
func errVersion(c *Cart) *Error {
	if c == nil {
		return &Error{Code: CodeVersionMismatch, Detail: "There is no such cart."}
	}
	return &Error{Code: CodeVersionMismatch, Detail: fmt.Sprintf("The cart is at version %d.", c.Version), State: c}
}

func errLocked(c *Cart) *Error {
	return &Error{Code: CodeLocked, Detail: fmt.Sprintf("The cart is locked for the payment %q.", c.Reference), State: c}
}

func errNotLocked(c *Cart) *Error {
	return &Error{Code: CodeNotLocked, Detail: fmt.Sprintf("The cart is %s and not locked for this payment.", c.Status), State: c}
}

func errAlreadyCheckedOut(c *Cart) *Error {
	detail := "The cart was checked out without a payment's reference."
	if c.Reference != "" {
		detail = fmt.Sprintf("The cart was checked out with the payment %q.", c.Reference)
	}
	return &Error{Code: CodeAlreadyCheckedOut, Detail: detail, State: c}
}

// inTheWay collects the carts that keep a joint command from being done.
type inTheWay []Obstacle

func (in *inTheWay) add(id int64, c *Cart, err error) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		e = &Error{Code: CodeInternal, Detail: "an error of another type", Cause: err}
	}
	*in = append(*in, Obstacle{ID: id, State: c, Err: e})
}

// worst ranks failures of several carts: what comes first is the code of all.
var worst = []Code{
	CodeInternal, CodeNotFound, CodeInvalid, CodeVersionMismatch,
	CodeLocked, CodeNotLocked, CodeAlreadyCheckedOut, CodeNotActive, CodeFull, CodeUnpriced, CodeNotAllowed,
}

// error returns the failure of the whole command, nil where no cart is in the way. A cart that is alone fails as in a command
// on one cart.
func (in inTheWay) error(alone bool) error {
	if len(in) == 0 {
		return nil
	}
	if alone {
		return in[0].Err
	}
	first := slices.MinFunc(in, func(a, b Obstacle) int {
		return cmp.Compare(slices.Index(worst, a.Err.Code), slices.Index(worst, b.Err.Code))
	})
	e := *first.Err
	e.Detail = fmt.Sprintf("Nothing was done, since some of the carts stand in the way. Cart %d: %s", first.ID, e.Detail)
	e.Obstacles = in
	return &e
}

const anyID = "a whole number from 1 to 9223372036854775807"

// allowed describes the valid values of each field of a request.
var allowed = map[string]string{
	"cart_id":    anyID,
	"company_id": anyID,
	"user_id":    anyID,
	"product_id": anyID,
	"cookie":     fmt.Sprintf("1 to %d printable ASCII characters without spaces, quotes, commas, semicolons or backslashes", MaxCookie),
	"owner":      "a user_id or a cookie",
	"name":       fmt.Sprintf("a text of 1 to %d characters in UTF-8, none of them NUL", MaxNameLength),
	"price":      fmt.Sprintf(`a decimal in a string with at most two decimals, from "0" to "%s"`, MaxPrice),
	"quantity":   fmt.Sprintf("a whole number from 1 to %d", MaxQuantity),
	"status":     "1 (ACTIVE), 2 (LOCKED), 3 (CHECKED_OUT) or 4 (CANCELLED)",
	"limit":      fmt.Sprintf("a whole number from 1 to %d", MaxCartsAsked),
	"offset":     "a whole number from 0 to 2147483647",
	"before":     "a whole number from 0 to 9223372036854775807",
	"by":         fmt.Sprintf("a whole number from -%[1]d to %[1]d, but not 0", MaxQuantity),
	"changes":    fmt.Sprintf("a list of 1 to %d changes; a list without any may only set attributes of a cart that exists", MaxChanges),
	"op":         `"put", "set", "change", "remove" or "clear"`,
	"attributes": fmt.Sprintf("an object of at most %d strings of at most %d bytes without NUL, with names of 1 to %d characters of a-z, 0-9, _ . and -; %d bytes in all for a line, %d for a cart",
		MaxAttributes, MaxAttributeValue, MaxAttributeName, MaxLineAttributes, MaxCartAttributes),
	"if_present":       `"replace" or "add"`,
	"if_active":        `"refuse" or, with status 1, "merge"`,
	"lock_seconds":     fmt.Sprintf("a whole number from %d to %d, and only with status 2", MinLockSeconds, MaxLockSeconds),
	"reference":        fmt.Sprintf("a text of 1 to %d characters in UTF-8, none of them NUL, and only with status 2 or 3", MaxReference),
	"carts":            fmt.Sprintf("a list of 1 to %d different carts", MaxCartsAsked),
	"id":               anyID + ", each once",
	"version":          "a whole number from 1 to 9223372036854775807, or absent",
	"policy":           `"max", "sum", "guest", "user", "replace" or "keep"`,
	"basket_status":    "1 (ACTIVE) or 2 (LOCKED)",
	"idempotency_key":  fmt.Sprintf("1 to %d visible ASCII characters", MaxKey),
	"expected_version": "a whole number from 0 (any) to 9223372036854775807",
	"if_match":         `* or a list of tags, such as "17-5"`,
	"ids":              fmt.Sprintf("a list of at most %d different ids, each %s", MaxIDs, anyID),
}

// InvalidField returns a CodeInvalid failure that names each field and what it may hold.
func InvalidField(fields ...string) *Error {
	list := make([]FieldError, len(fields))
	for i, f := range fields {
		detail := "The field is not valid."
		if text, ok := allowed[f]; ok {
			detail = "Must be " + text + "."
		}
		list[i] = FieldError{Field: strings.TrimPrefix(f, "basket_"), Detail: detail}
	}
	return invalid(list)
}

// Invalid merges failures of single fields into one that names them all; nil where there is none.
// Anything that is not a CodeInvalid failure is returned as it is.
func Invalid(errs ...error) error {
	var fields []FieldError
	for _, err := range errs {
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != CodeInvalid {
			return err
		}
		fields = append(fields, e.Fields...)
	}
	if len(fields) == 0 {
		return nil
	}
	return invalid(fields)
}

// Within returns the error with its fields named as parts of another field: "price" within "changes[3]" is
// "changes[3].price".
func Within(field string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != CodeInvalid {
		return err
	}
	fields := slices.Clone(e.Fields)
	for i := range fields {
		fields[i].Field = field + "." + fields[i].Field
	}
	return invalid(fields)
}

func invalid(fields []FieldError) *Error {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Field + ": " + strings.TrimSuffix(strings.ToLower(f.Detail[:1])+f.Detail[1:], ".")
	}
	return &Error{Code: CodeInvalid, Detail: "The request is not valid: " + strings.Join(parts, "; ") + ".", Fields: fields}
}
