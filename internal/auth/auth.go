// Package auth authenticates and authorises callers: an [Authenticator] identifies the caller of a request, and a [Guard]
// lets each caller reach its own carts only. Both transports use them.
package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/sellio/sellio-cart/internal/cart"
)

// GuestCookie is the name of the cookie that identifies a guest.
const GuestCookie = "sellio_cart"

// Caller is the party that makes a request. The zero Caller is nobody and may do nothing.
type Caller struct {
	Service bool       // trusted with all carts
	Owner   cart.Owner // otherwise the user or guest whose carts the caller may reach
	Cookie  string     // of the guest that a user was before signing in, if the request shows it
}

type callerKey struct{}

// With returns a context of a request that the caller makes.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller of the request of ctx, nobody where it was not authenticated.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Options are the credentials that an [Authenticator] accepts.
type Options struct {
	Tokens []string // of services
	JWT    *JWT     // nil: services only, no users and no guests
	Logger *slog.Logger
}

// Authenticator identifies the callers of requests. Its methods may be called by many goroutines at once.
type Authenticator struct {
	services [][sha256.Size]byte // digests of their tokens
	users    *verifier           // nil: services only
	log      *slog.Logger
}

// New returns an authenticator. Where it verifies JWTs, it refreshes their keys until ctx ends. It fails where a file of
// keys cannot be used; a URL of keys may be out of reach for now.
func New(ctx context.Context, o Options) (*Authenticator, error) {
	a := &Authenticator{log: o.Logger}
	for _, token := range o.Tokens {
		a.services = append(a.services, sha256.Sum256([]byte(token)))
	}
	if o.JWT == nil {
		return a, nil
	}
	users, err := newVerifier(ctx, *o.JWT, o.Logger)
	if err != nil {
		return nil, err
	}
	a.users = users
	return a, nil
}

// Authenticate returns the caller of a request with these Authorization and Cookie headers. Without Authorization it is
// the guest of the cookie or, where newGuest is not nil and there is no valid cookie, the guest whose cookie newGuest
// returns. Credentials of another scheme than Bearer are not for this service, but for a proxy before it: they do not
// keep a guest with a valid cookie out, and create no new guest.
//
// Errors are CodeUnauthenticated, [ErrInvalidToken] among them, and CodeUnavailable where the keys of JWTs cannot be
// fetched.
func (a *Authenticator) Authenticate(ctx context.Context, authorization, cookies []string, newGuest func() string) (Caller, error) {
	token, shown := bearer(authorization)
	switch {
	case shown && a.isService(token):
		return Caller{Service: true}, nil
	case shown && a.users != nil:
		return a.user(ctx, token, cookies)
	case shown:
		return Caller{}, ErrInvalidToken
	case a.users == nil:
		return Caller{}, errUnauthenticated
	}
	guest := CookieOf(cookies)
	if guest == "" && newGuest != nil && strings.Join(authorization, "") == "" {
		guest = newGuest()
	}
	if owner := cart.Guest(guest); !owner.IsNobody() {
		return Caller{Owner: owner}, nil
	}
	return Caller{}, errUnauthenticated
}

// user returns the user whom a JWT names. The reason of a refusal goes to the log only: it would help an attacker.
func (a *Authenticator) user(ctx context.Context, token string, cookies []string) (Caller, error) {
	id, err := a.users.userID(ctx, token)
	if _, ok := errors.AsType[*cart.Error](err); ok {
		return Caller{}, err
	}
	if err != nil {
		a.log.DebugContext(ctx, "A bearer token was refused.", slog.Any("error", err))
		return Caller{}, ErrInvalidToken
	}
	return Caller{Owner: cart.User(id), Cookie: CookieOf(cookies)}, nil
}

// isService compares the digest of the token with those of all services, so that timing reveals nothing.
func (a *Authenticator) isService(token string) bool {
	given := sha256.Sum256([]byte(token))
	found := 0
	for i := range a.services {
		found |= subtle.ConstantTimeCompare(given[:], a.services[i][:])
	}
	return found == 1
}

// bearer returns the bearer token in Authorization headers, and whether there is one; it may be empty.
func bearer(authorization []string) (token string, shown bool) {
	for _, header := range authorization {
		if scheme, token, _ := strings.Cut(header, " "); strings.EqualFold(scheme, "Bearer") {
			return token, true
		}
	}
	return "", false
}

// CookieOf returns the last valid guest cookie in Cookie headers, "" where there is none. Which of several is the newer
// one they do not say; it is the last that the Python service took.
func CookieOf(headers []string) string {
	r := http.Request{Header: http.Header{"Cookie": headers}}
	for _, c := range slices.Backward(r.CookiesNamed(GuestCookie)) {
		if cart.ValidCookie(c.Value) {
			return c.Value
		}
	}
	return ""
}

const needsToken = "The request needs a valid bearer token."

// ErrInvalidToken is the failure of a request with a bearer token that is not valid. A request without one fails
// otherwise, though its caller reads the same: RFC 6750, section 3.1, tells the two apart in WWW-Authenticate.
var ErrInvalidToken = &cart.Error{Code: cart.CodeUnauthenticated, Detail: needsToken}

var (
	errUnauthenticated = &cart.Error{Code: cart.CodeUnauthenticated, Detail: needsToken}
	errForbidden       = &cart.Error{Code: cart.CodeForbidden, Detail: "The request names an owner who is not its caller."}
)
