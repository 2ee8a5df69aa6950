package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/go-faster/jx"
	"github.com/ogen-go/ogen/ogenerrors"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/requestid"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// statuses maps the errors of the domain. Any other error is a bug: 500.
var statuses = map[cart.Code]int{
	cart.CodeInvalid:    http.StatusUnprocessableEntity,
	cart.CodeNotFound:   http.StatusNotFound,
	cart.CodeNotAllowed: http.StatusBadRequest,
	cart.CodeNotActive:  http.StatusConflict,
	cart.CodeFull:       http.StatusConflict,
	cart.CodeUnpriced:   http.StatusConflict,
	cart.CodeConflict:   http.StatusConflict,

	cart.CodeVersionMismatch:   http.StatusPreconditionFailed,
	cart.CodeQuantityLimit:     http.StatusConflict,
	cart.CodeLocked:            http.StatusConflict,
	cart.CodeNotLocked:         http.StatusConflict,
	cart.CodeAlreadyCheckedOut: http.StatusConflict,
	cart.CodeKeyReused:         http.StatusUnprocessableEntity,
	cart.CodeKeyMissing:        http.StatusBadRequest,

	cart.CodeOverloaded:     http.StatusServiceUnavailable,
	cart.CodeUnavailable:    http.StatusServiceUnavailable,
	cart.CodeOutcomeUnknown: http.StatusServiceUnavailable,

	cart.CodeUnauthenticated: http.StatusUnauthorized,
	cart.CodeForbidden:       http.StatusForbidden,
	cart.CodeRateLimited:     http.StatusTooManyRequests,
}

// retryAfter is how long a client should wait after a 503, and at least after a 429.
const retryAfter = time.Second

// refusal is the error of a request that never became a command.
type refusal struct {
	status int
	detail string
}

// Error implements error.
func (r *refusal) Error() string { return r.detail }

var (
	errHeaderTooLarge = &refusal{
		http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("The headers, path and query are larger than %d bytes.", maxHeader),
	}
	errNoPath    = &refusal{http.StatusNotFound, "There is no such path."}
	errNoMethod  = &refusal{http.StatusMethodNotAllowed, "The path does not take this method."}
	errNotJSON   = &refusal{http.StatusBadRequest, "The body is not JSON."}
	errType      = &refusal{http.StatusUnsupportedMediaType, "The Content-Type must be application/json."}
	errCoded     = &refusal{http.StatusUnsupportedMediaType, "The body must come without a Content-Encoding."}
	errOtherSite = &refusal{http.StatusForbidden, "Pages of other sites may not do this."}
	errTooSlow   = &refusal{http.StatusRequestTimeout, "The body did not come in time."}
	errTooLong   = &refusal{http.StatusServiceUnavailable, "The request took too long. Please try again in a moment."}
)

// tooLarge is the error of a request whose body has more than most bytes.
func tooLarge(most int64) error {
	return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("The body is larger than %d bytes.", most)}
}

// panicked is the error of a handler that panicked.
type panicked struct {
	value any
	stack []byte
}

// Error implements error.
func (p *panicked) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// fail answers with the problem for err, or serves the request again if reread changes it. If an answer has begun, fail
// only logs: all that can fail then, short of a panic, is sending the answer.
func (s *server) fail(ctx context.Context, w http.ResponseWriter, r *http.Request, err error) {
	v := visitOf(ctx)
	if _, bug := errors.AsType[*panicked](err); v.status != 0 && !bug {
		s.Logger.DebugContext(ctx, "http answer not sent", slog.Any("error", err))
		return
	}
	_, kept := errors.AsType[*ogenerrors.SecurityError](err) // It wraps an error that needs no explaining.
	if bad, ok := errors.AsType[ogenerrors.Error](err); ok && !kept {
		if again := v.again(r); again != nil {
			s.routes.ServeHTTP(w, again)
			return
		}
		err = s.explain(ctx, r, bad)
	}
	if errors.Is(err, errNotModified) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	p := s.problem(ctx, r, err)
	if v.status != 0 {
		return
	}
	if e, ok := errors.AsType[*cart.Error](err); ok && e.Code == cart.CodeVersionMismatch && len(e.Obstacles) == 0 {
		v.tag(e.State)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		wait := retryAfter
		if e, ok := errors.AsType[*cart.Error](err); ok {
			wait = max(wait, e.Wait)
		}
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge(err))
	}
	if p.Status == http.StatusRequestEntityTooLarge {
		h.Set("Connection", "close") // Otherwise net/http would wait for the rest of the body.
	}
	w.WriteHeader(int(p.Status))
	var e jx.Encoder
	p.Encode(&e)
	if _, err := w.Write(e.Bytes()); err != nil {
		s.Logger.DebugContext(ctx, "http answer not sent", slog.Any("error", err))
	}
}

// challenge tells a caller without valid credentials how to authenticate (RFC 6750, section 3).
func challenge(err error) string {
	if errors.Is(err, auth.ErrInvalidToken) {
		return `Bearer error="invalid_token"`
	}
	return "Bearer"
}

// problem describes the error to the client, and logs it if it is a bug.
func (s *server) problem(ctx context.Context, r *http.Request, err error) *oas.Problem {
	if refused, ok := errors.AsType[*refusal](err); ok {
		return newProblem(refused.status, refused.detail)
	}
	failure, ok := errors.AsType[*cart.Error](err)
	if !ok && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return newProblem(errTooLong.status, errTooLong.detail)
	}
	if ok && statuses[failure.Code] != 0 {
		p := newProblem(statuses[failure.Code], failure.Detail)
		describe(p, failure)
		return p
	}
	s.Logger.ErrorContext(ctx, "http request failed",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Any("error", err),
	)
	p := newProblem(http.StatusInternalServerError, "Something went wrong here. Please tell us the id.")
	p.ID = oas.NewOptString(requestid.Of(ctx)) // The log has it too.
	return p
}

// describe adds what programs can read of the failure.
func describe(p *oas.Problem, failure *cart.Error) {
	for _, f := range failure.Fields {
		p.Errors = append(p.Errors, oas.FieldProblem{Field: f.Field, Detail: f.Detail})
	}
	if name := failure.Code.Name(); name != "" {
		p.Type = "urn:sellio-cart:problem:" + name
	}
	for _, o := range failure.Obstacles {
		c := oas.CartProblem{ID: o.ID, Status: int32(statuses[o.Err.Code]), Detail: o.Err.Detail}
		if o.State != nil {
			c.Version = oas.NewOptInt64(o.State.Version)
		}
		p.Carts = append(p.Carts, c)
	}
	state := failure.State
	switch {
	case state == nil || len(failure.Obstacles) > 0:
	case failure.Code == cart.CodeVersionMismatch:
		p.Version = oas.NewOptInt64(state.Version)
	default:
		if state.Reference != "" {
			p.Reference = oas.NewOptString(state.Reference)
		}
		if !state.LockedUntil.IsZero() {
			p.LockedUntil = oas.NewOptDateTime(state.LockedUntil)
		}
	}
}

func newProblem(status int, detail string) *oas.Problem {
	return &oas.Problem{
		Type:   "about:blank",
		Title:  http.StatusText(status),
		Status: int32(status),
		Detail: detail,
	}
}
