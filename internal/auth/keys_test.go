package auth

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sellio/sellio-cart/internal/cart"
	authtest "github.com/sellio/sellio-cart/internal/test/auth"
)

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) crypto.Signer {
		private, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return private
	}
	keys := []*authtest.Key{authtest.KeyOf(t, "EdDSA", jose.EdDSA, edwards)}
	for _, algorithm := range []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		keys = append(keys, authtest.KeyOf(t, string(algorithm), algorithm, pair))
	}
	for algorithm, c := range map[jose.SignatureAlgorithm]elliptic.Curve{
		jose.ES256: elliptic.P256(), jose.ES384: elliptic.P384(), jose.ES512: elliptic.P521(),
	} {
		keys = append(keys, authtest.KeyOf(t, string(algorithm), algorithm, curve(c)))
	}
	keys = append(keys, authtest.NewKey(t, ""), authtest.NewKey(t, "twice"), authtest.NewKey(t, "twice"))
	a := believing(t, keys...)
	for _, key := range keys {
		if got, code := ask(t, a, "", "Bearer "+key.Token("7")); got.Owner != cart.User(7) {
			t.Errorf("key %q: got %+v, code %d", key.Public().KeyID, got, code)
		}
	}
}

// TestUnfitKeys is about keys that a JWKS lists for something else.
func TestUnfitKeys(t *testing.T) {
	t.Parallel()
	key, good := authtest.NewKey(t, "k"), authtest.NewKey(t, "good")
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	change := func(do func(*jose.JSONWebKey)) jose.JSONWebKey {
		k := key.Public()
		do(&k)
		return k
	}
	for name, unfit := range map[string]jose.JSONWebKey{
		"for encryption":        change(func(k *jose.JSONWebKey) { k.Use = "enc" }),
		"for another algorithm": change(func(k *jose.JSONWebKey) { k.Algorithm = "ES384" }),
		"private":               {Key: private, KeyID: "k"},
		"shared":                {Key: []byte(strings.Repeat("k", 32)), KeyID: "k"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{unfit, good.Public()}})
			if err != nil {
				t.Fatal(err)
			}
			// Keys of an unknown kind do not hinder the others.
			document = []byte(strings.Replace(string(document), "[", `[{"kty": "new", "kid": "k"}, `, 1))
			path := filepath.Join(t.TempDir(), "jwks.json")
			if err := os.WriteFile(path, document, 0o600); err != nil {
				t.Fatal(err)
			}
			a := open(t, Options{JWT: &JWT{Issuer: authtest.Issuer, Audience: authtest.Audience, JWKS: path}})
			if _, code := ask(t, a, "", "Bearer "+key.Token("7")); code != cart.CodeUnauthenticated {
				t.Errorf("code %d", code)
			}
			if got, code := ask(t, a, "", "Bearer "+good.Token("7")); got.Owner != cart.User(7) {
				t.Errorf("the good key: got %+v, code %d", got, code)
			}
		})
	}
}

// TestWeakKeys lists an RSA key that is too short, and one that is just long enough.
func TestWeakKeys(t *testing.T) {
	t.Parallel()
	rsaKey := func(id string, bits int) *authtest.Key {
		pair, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return authtest.KeyOf(t, id, jose.RS256, pair)
	}
	weak, good := rsaKey("weak-1", 2047), rsaKey("good-1", 2048)
	var log strings.Builder
	a := open(t, Options{
		JWT:    &JWT{Issuer: authtest.Issuer, Audience: authtest.Audience, JWKS: authtest.NewServer(t, weak, good).URL},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "kid=weak-1") {
		t.Errorf("logged %q, want a line about the weak key", got)
	}
	if got, code := ask(t, a, "", "Bearer "+weak.Token("7")); code != cart.CodeUnauthenticated {
		t.Errorf("the weak key: got %+v, code %d", got, code)
	}
	if got, code := ask(t, a, "", "Bearer "+good.Token("7")); got.Owner != cart.User(7) {
		t.Errorf("the good key: got %+v, code %d", got, code)
	}
}

func TestBadFile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty": "", "no JSON": "keys", "no keys": "{}", "none": `{"keys": []}`, "no public key": `{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}`,
	} {
		path := filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(t.Context(), Options{JWT: &JWT{JWKS: path}}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line", name, err)
		}
	}
	if _, err := New(t.Context(), Options{JWT: &JWT{JWKS: t.TempDir() + "/none"}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestIssuerOutOfReach starts while the issuer is out of reach: guests and services are served all the same.
func TestIssuerOutOfReach(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	issuer := authtest.NewServer(t, key)
	issuer.Serve(nil)
	var log strings.Builder
	a := open(t, Options{
		Tokens: []string{newToken},
		JWT:    &JWT{Issuer: authtest.Issuer, Audience: authtest.Audience, JWKS: issuer.URL},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if !strings.Contains(log.String(), "502") {
		t.Errorf("the log does not say what the issuer answered: %s", log.String())
	}
	if _, code := ask(t, a, "", "Bearer "+key.Token("7")); code != cart.CodeUnavailable {
		t.Errorf("a user: code %d", code)
	}
	if got, code := ask(t, a, "", "Bearer "+newToken); !got.Service {
		t.Errorf("a service: code %d", code)
	}
	if got, code := ask(t, a, "mine"); got.Owner != cart.Guest("mine") {
		t.Errorf("a guest: code %d", code)
	}
}

// TestBadAnswers is about what an address may answer in place of keys.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	good, long := authtest.NewServer(t, key).URL, append(bytes.Repeat([]byte(" "), maxDocument), authtest.JWKS(t, key)...)
	for name, answer := range map[string]http.HandlerFunc{
		"another status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"a redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, good, http.StatusFound) },
		"no JSON":        func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"too long":       func(w http.ResponseWriter, _ *http.Request) { w.Write(long) },
		"cut off":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(answer)
			defer server.Close()
			if err := newKeySet(fromURL(server.URL), slog.New(slog.DiscardHandler)).fetch(); err == nil {
				t.Error("taken for keys")
			}
		})
	}
	if err := newKeySet(fromURL(good), slog.New(slog.DiscardHandler)).fetch(); err != nil {
		t.Errorf("the address without a redirect: %v", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := authtest.NewKey(t, "1"), authtest.NewKey(t, "2")
	issuer := authtest.NewServer(t, first)
	a := open(t, Options{JWT: &JWT{Issuer: authtest.Issuer, Audience: authtest.Audience, JWKS: issuer.URL}})
	issuer.Serve(authtest.JWKS(t, first, second))
	// All callers that come with the new key at once are let in, by one fetch.
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if got, code := ask(t, a, "", "Bearer "+second.Token("7")); got.Owner != cart.User(7) {
				t.Errorf("the new key: code %d", code)
			}
		})
	}
	callers.Wait()
	if got, code := ask(t, a, "", "Bearer "+first.Token("7")); got.Owner != cart.User(7) {
		t.Errorf("the old key: code %d", code)
	}
	if n := issuer.Fetches.Load(); n != 2 {
		t.Errorf("%d fetches, want one at the start and one for the new key", n)
	}
}

// source is a JWKS that a test changes, without an issuer.
type source struct {
	mu       sync.Mutex
	document []byte
	err      error
	loads    int
}

func (s *source) load(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	return s.document, s.err
}

func (s *source) set(document []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document, s.err = document, err
}

func (s *source) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loads
}

// holds reports whether the set finds a key with that id.
func (k *keySet) holds(t *testing.T, id string) bool {
	t.Helper()
	found, err := k.find(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return len(found) > 0
}

// TestUnknownKeys checks that tokens with made-up keys cannot make the service pester the issuer.
func TestUnknownKeys(t *testing.T) {
	first, second := authtest.NewKey(t, "1"), authtest.NewKey(t, "2")
	synctest.Test(t, func(t *testing.T) {
		s := &source{document: authtest.JWKS(t, first)}
		k := newKeySet(s.load, slog.New(slog.DiscardHandler))
		for range 50 {
			if k.holds(t, "made up") {
				t.Error("found")
			}
			time.Sleep(time.Second) //nolint:forbidigo // of the bubble's clock
		}
		if n := s.count(); n != 5 {
			t.Errorf("%d fetches in 50 seconds, want 5", n)
		}
		s.set(authtest.JWKS(t, first, second), nil)
		if !k.holds(t, "2") || !k.holds(t, "1") {
			t.Error("a key that is new is not found")
		}
	})
}

// TestRefresh checks that keys are withdrawn, and that those that are known outlive an outage of the issuer.
func TestRefresh(t *testing.T) {
	first, second := authtest.NewKey(t, "1"), authtest.NewKey(t, "2")
	synctest.Test(t, func(t *testing.T) {
		s := &source{document: authtest.JWKS(t, first, second)}
		k := newKeySet(s.load, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go k.keepFresh(ctx)
		wait := func() {
			time.Sleep(refreshEvery) //nolint:forbidigo // of the bubble's clock
			synctest.Wait()
		}
		wait()
		s.set(nil, errors.New("out of reach"))
		wait()
		if !k.holds(t, "1") || !k.holds(t, "2") {
			t.Error("a known key is lost while the issuer is out of reach")
		}
		if _, err := k.find(t.Context(), "3"); err == nil {
			t.Error("an unknown key is refused, though the issuer may know it")
		}
		s.set(authtest.JWKS(t, second), nil)
		wait()
		if k.holds(t, "1") || !k.holds(t, "2") {
			t.Error("a key that was withdrawn is known, or another is not")
		}
		cancel()
		synctest.Wait()
		before := s.count()
		wait()
		if s.count() != before {
			t.Error("the keys are fetched after the end")
		}
	})
}

// TestSlowIssuer checks that a caller that waits for a key can give up, and that the others get it.
func TestSlowIssuer(t *testing.T) {
	key := authtest.NewKey(t, "1")
	synctest.Test(t, func(t *testing.T) {
		answered := make(chan struct{})
		var cut atomic.Bool
		k := newKeySet(func(ctx context.Context) ([]byte, error) {
			select {
			case <-answered:
				return authtest.JWKS(t, key), nil
			case <-ctx.Done():
				cut.Store(true)
				return nil, ctx.Err()
			}
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := k.find(ctx, "1"); !errors.Is(err, context.DeadlineExceeded) || cut.Load() {
			t.Errorf("the first caller: %v", err)
		}
		go func() {
			time.Sleep(time.Second) //nolint:forbidigo // of the bubble's clock
			close(answered)
		}()
		if !k.holds(t, "1") {
			t.Error("the second caller did not get the key that was on its way")
		}
	})
}
