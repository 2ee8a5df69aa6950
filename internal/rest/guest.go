package rest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	cookieMaxAge = 30 * 24 * 60 * 60 // seconds
	cookieBytes  = 24                // of randomness: nobody guesses another's cart
)

// guest returns the cookie that the request brings or, where it brings none that is valid, a fresh
// one, the same each time. The caller gets a fresh one only with [visit.keepGuest].
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

// keepGuest sets the cookie that guest made, if it made one and the request is about its owner.
func (v *visit) keepGuest(owner cart.Owner) {
	if v.fresh == "" || owner != cart.Guest(v.fresh) {
		return
	}
	http.SetCookie(v, &http.Cookie{ //nolint:gosec // Secure is left off in development only.
		Name:     auth.GuestCookie,
		Value:    v.fresh,
		Path:     "/",
		MaxAge:   cookieMaxAge,
		Secure:   v.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}
