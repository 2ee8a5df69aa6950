package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"log/slog"
	"testing"

	"github.com/go-jose/go-jose/v4"

	authtest "github.com/sellio/sellio-cart/internal/test/auth"
)

// BenchmarkAuthenticate measures how long it takes to authenticate a caller of each kind.
func BenchmarkAuthenticate(b *testing.B) {
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	es, rs := authtest.NewKey(b, "ES256"), authtest.KeyOf(b, "RS256", jose.RS256, pair)
	a, err := New(b.Context(), Options{
		Tokens: []string{oldToken, newToken},
		JWT:    &JWT{Issuer: authtest.Issuer, Audience: authtest.Audience, JWKS: authtest.NewServer(b, es, rs).URL},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	for name, authorization := range map[string][]string{
		"service": {"Bearer " + newToken}, "user ES256": {"Bearer " + es.Token("7")}, "user RS256": {"Bearer " + rs.Token("7")}, "guest": nil,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Authenticate(b.Context(), authorization, []string{"sellio_cart=mine"}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
