// Package authtest makes JSON Web Tokens for tests.
package authtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// The issuer and the audience of good tokens.
const (
	Issuer   = "https://issuer.test"
	Audience = "sellio-cart"
)

// Key signs tokens.
type Key struct {
	t      testing.TB
	signer jose.Signer
	public jose.JSONWebKey
}

// NewKey returns a fresh key for ES256.
func NewKey(t testing.TB, id string) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return KeyOf(t, id, jose.ES256, private)
}

// KeyOf returns a key that signs with private; the JWKS does not say its algorithm.
func KeyOf(t testing.TB, id string, algorithm jose.SignatureAlgorithm, private crypto.Signer) *Key {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: private, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Key{t: t, signer: signer, public: jose.JSONWebKey{Key: private.Public(), KeyID: id}}
}

// Public returns the key as a JWKS lists it.
func (k *Key) Public() jose.JSONWebKey { return k.public }

// Sign returns a token with these claims.
func (k *Key) Sign(claims any) string {
	k.t.Helper()
	token, err := jwt.Signed(k.signer).Claims(claims).Serialize()
	if err != nil {
		k.t.Fatal(err)
	}
	return token
}

// Token returns a good token of the user, such as "7", after changes, if any.
func (k *Key) Token(user string, changes ...func(*jwt.Claims)) string {
	k.t.Helper()
	claims := jwt.Claims{
		Issuer: Issuer, Audience: jwt.Audience{Audience}, Subject: user, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}
	for _, change := range changes {
		change(&claims)
	}
	return k.Sign(claims)
}

// JWKS lists the keys.
func JWKS(t testing.TB, keys ...*Key) []byte {
	t.Helper()
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.Public())
	}
	document, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// Server serves a JWKS for the length of a test.
type Server struct {
	URL     string
	Fetches atomic.Int64
	content atomic.Pointer[[]byte]
}

// NewServer starts a server of these keys.
func NewServer(t testing.TB, keys ...*Key) *Server {
	t.Helper()
	s := new(Server)
	s.Serve(JWKS(t, keys...))
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.Fetches.Add(1)
		content := s.content.Load()
		if content == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		if _, err := w.Write(*content); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

// Serve makes the server answer with this from now on, and with status 502 if it is nil.
func (s *Server) Serve(content []byte) {
	if content == nil {
		s.content.Store(nil)
		return
	}
	s.content.Store(&content)
}
