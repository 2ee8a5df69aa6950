package rest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	cookieName   = "sellio_cart"
	cookieMaxAge = 30 * 24 * 60 * 60 // seconds
	cookieBytes  = 24                // of randomness: nobody guesses another's cart
)

// guest returns the cookie that the request brings or, where it brings none that is valid, a fresh
// one. The caller gets a fresh one only with [visit.keepGuest].
func (v *visit) guest() string {
	for _, c := range v.request.CookiesNamed(cookieName) {
		if cart.ValidCookie(c.Value) {
			return c.Value
		}
	}
	var random [cookieBytes]byte
	rand.Read(random[:]) // Never fails.
	v.fresh = base64.RawURLEncoding.EncodeToString(random[:])
	return v.fresh
}

// keepGuest sets the cookie that guest made, if it made one.
func (v *visit) keepGuest() {
	if v.fresh == "" {
		return
	}
	http.SetCookie(v, &http.Cookie{ //nolint:gosec // Secure is left off in development only.
		Name:     cookieName,
		Value:    v.fresh,
		Path:     "/",
		MaxAge:   cookieMaxAge,
		Secure:   v.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}
