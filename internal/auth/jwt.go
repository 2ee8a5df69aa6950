package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/sellio/sellio-cart/internal/cart"
)

// leeway is how far the clocks of issuer and service may differ.
const leeway = 30 * time.Second

// algorithms are those with public keys. With a shared secret, any party that can verify tokens can forge them.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// JWT describes the JSON Web Tokens of users. All fields must be set.
type JWT struct {
	Issuer   string // what the claim iss must be
	Audience string // what the claim aud must hold
	JWKS     string // where the issuer's public keys are: an http:// or https:// URL, or the path of a file
}

// verifier verifies the JWTs of users.
type verifier struct {
	expected jwt.Expected
	keys     *keySet
}

func newVerifier(ctx context.Context, o JWT, log *slog.Logger) (*verifier, error) {
	keys, err := openKeys(ctx, o.JWKS, log)
	if err != nil {
		return nil, err
	}
	return &verifier{expected: jwt.Expected{Issuer: o.Issuer, AnyAudience: jwt.Audience{o.Audience}}, keys: keys}, nil
}

// The reasons of refusals, besides those of package jwt. None of them quotes the token.
var (
	errMalformed = errors.New("it is no JWT with an asymmetric signature")
	errSignature = errors.New("no key of the issuer's verifies it")
	errNoExpiry  = errors.New("it never expires")
	errNoUser    = errors.New("its subject is no user id")
)

// userID returns the user whom a valid token names. A *[cart.Error] means that the token could not be checked, any other
// error that it is not valid.
func (v *verifier) userID(ctx context.Context, token string) (int64, error) {
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return 0, errMalformed
	}
	header := parsed.Headers[0]
	keys, err := v.keys.find(ctx, header.KeyID)
	if err != nil {
		return 0, &cart.Error{
			Code:   cart.CodeUnavailable,
			Detail: "Bearer tokens cannot be checked at the moment. Please try again in a moment.",
			Cause:  fmt.Errorf("keys of JWTs: %w", err),
		}
	}
	var claims jwt.Claims
	if !verified(parsed, header.Algorithm, keys, &claims) {
		return 0, errSignature
	}
	if err := claims.ValidateWithLeeway(v.expected, leeway); err != nil {
		return 0, err
	}
	if claims.Expiry == nil {
		return 0, errNoExpiry
	}
	id, err := strconv.ParseInt(claims.Subject, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != claims.Subject {
		return 0, errNoUser
	}
	return id, nil
}

// verified reads the claims of a token if one of the keys has signed it. Keys may share an id; a key that names an
// algorithm is used for no other.
func verified(token *jwt.JSONWebToken, algorithm string, keys []jose.JSONWebKey, claims *jwt.Claims) bool {
	for _, key := range keys {
		if (key.Algorithm == "" || key.Algorithm == algorithm) && token.Claims(key.Key, claims) == nil {
			return true
		}
	}
	return false
}
