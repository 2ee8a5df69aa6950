package rest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	cookieMaxAge = 30 * 24 * 60 * 60 // seconds
	cookieBytes  = 24                // of randomness: cookies cannot be guessed
)

// guest returns the request's guest cookie or, if it has no valid one, a fresh one, the same at each call.
// The client gets a fresh one only by [visit.keepGuest].
func (v *visit) guest() string {
	if shown := auth.CookieOf(v.request.Header["Cookie"]); shown != "" {
		return shown
	}
	if v.fresh == "" {
		var random [cookieBytes]byte
		rand.Read(random[:]) // Never fails.
		v.fresh = base64.RawURLEncoding.EncodeToString(random[:])
	}
	return v.fresh
}

// keepGuest sends the client the cookie that guest made, if it made one and owner is that guest.
func (v *visit) keepGuest(owner cart.Owner) {
	if v.fresh != "" && owner == cart.Guest(v.fresh) {
		v.setCookie(v.fresh)
	}
}

// renewAfter is how long a cart rests before its guest's cookie is renewed. A cookie is not sent with every answer, since a
// client would have to store it again each time.
const renewAfter = 24 * time.Hour

// renew sends the client the cookie of its request once more, so that it lasts as long again, if owner is that guest and
// their cart has rested since then.
func (v *visit) renew(owner cart.Owner, since time.Time) {
	if owner.Cookie == "" || since.IsZero() || time.Since(since) < renewAfter {
		return
	}
	if auth.CookieOf(v.request.Header["Cookie"]) == owner.Cookie {
		v.setCookie(owner.Cookie)
	}
}

func (v *visit) setCookie(value string) {
	http.SetCookie(v, &http.Cookie{ //nolint:gosec // Secure is left off in development only.
		Name:     auth.GuestCookie,
		Value:    value,
		Path:     "/",
		MaxAge:   cookieMaxAge,
		Secure:   v.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}
