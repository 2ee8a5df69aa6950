package auth

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	refreshEvery = 5 * time.Minute  // after this at the latest a withdrawn key is refused
	unknownPause = 10 * time.Second // at least, between two fetches for unknown keys
	fetchTimeout = 5 * time.Second
	maxDocument  = 1 << 20 // bytes of a JWKS; a longer one is cut off, and then not valid JSON
)

// keySet is the set of public keys in the JWKS (RFC 7517) of an issuer. It is fetched again every few minutes, and when a
// token names an unknown key. Any client can send such a token, so these fetches are limited.
type keySet struct {
	load   func(context.Context) ([]byte, error)
	log    *slog.Logger
	last   atomic.Pointer[fetched]
	flight singleflight.Group // of fetches: all callers that need one share it
	asked  time.Time          // when the last fetch for an unknown key began; only a flight touches it
}

// fetched is the result of the last fetch.
type fetched struct {
	keys jose.JSONWebKeySet
	err  error // if set, the keys are those of an earlier fetch
}

// openKeys fetches the keys, and refreshes them until ctx ends. A file must have some. A URL may be out of reach for now:
// guests and services need no keys.
func openKeys(ctx context.Context, source string, log *slog.Logger) (*keySet, error) {
	var k *keySet
	if strings.HasPrefix(source, "http://") || strings.HasPrefix(source, "https://") {
		k = newKeySet(fromURL(source), log)
		k.refresh()
	} else {
		k = newKeySet(fromFile(source), log)
		if err := k.fetch(); err != nil {
			return nil, err
		}
	}
	go k.keepFresh(ctx)
	return k, nil
}

func newKeySet(load func(context.Context) ([]byte, error), log *slog.Logger) *keySet {
	k := &keySet{load: load, log: log}
	k.last.Store(new(fetched))
	return k
}

// keepFresh fetches the keys at intervals until ctx ends.
func (k *keySet) keepFresh(ctx context.Context) {
	tick := time.NewTicker(refreshEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			<-k.flight.DoChan("", func() (any, error) { k.refresh(); return nil, nil })
		case <-ctx.Done():
			return
		}
	}
}

// find returns the keys with that id, or those without one where id is empty; none where the issuer has none. It fails
// where the issuer cannot be asked.
func (k *keySet) find(ctx context.Context, id string) ([]jose.JSONWebKey, error) {
	if found := k.last.Load().keys.Key(id); len(found) > 0 {
		return found, nil
	}
	asked := k.flight.DoChan("", func() (any, error) {
		if time.Since(k.asked) >= unknownPause {
			k.asked = time.Now()
			k.refresh()
		}
		return nil, nil
	})
	select {
	case <-asked:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	last := k.last.Load()
	if found := last.keys.Key(id); len(found) > 0 {
		return found, nil
	}
	return nil, last.err
}

// refresh fetches the keys, and logs failures.
func (k *keySet) refresh() {
	if err := k.fetch(); err != nil {
		k.log.Warn("The keys that JWTs are checked with cannot be fetched.", "error", err)
	}
}

// fetch fetches the keys. Where it fails, the earlier ones stay in use.
func (k *keySet) fetch() error {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	document, err := k.load(ctx)
	var keys jose.JSONWebKeySet
	if err == nil {
		keys, err = k.signingKeys(document)
	}
	if err != nil {
		keys = k.last.Load().keys
	}
	k.last.Store(&fetched{keys: keys, err: err})
	return err
}

// minRSABits is the size of the smallest RSA key that is accepted (RFC 7518, section 3.3).
const minRSABits = 2048

// signingKeys returns the public keys of a JWKS that are for signatures. It skips keys that it cannot read, as RFC 7517
// demands: there may be new kinds of keys. It logs and skips keys that are too weak.
func (k *keySet) signingKeys(document []byte) (keys jose.JSONWebKeySet, err error) {
	var all struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(document, &all); err != nil {
		return keys, fmt.Errorf("no JWKS: %w", err)
	}
	for _, raw := range all.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) != nil || !key.IsPublic() || !key.Valid() || key.Use != "" && key.Use != "sig" {
			continue
		}
		if public, ok := key.Key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
			k.log.Warn("A key of the JWKS is too weak. Tokens that it has signed are refused.",
				"kid", key.KeyID, "bits", public.N.BitLen(), "want", minRSABits)
			continue
		}
		keys.Keys = append(keys.Keys, key)
	}
	if len(keys.Keys) == 0 {
		return keys, errors.New("the JWKS has no public key for signatures")
	}
	return keys, nil
}

func fromFile(path string) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		return os.ReadFile(path) //nolint:gosec // G304: a setting names the file
	}
}

func fromURL(url string) func(context.Context) ([]byte, error) {
	client := &http.Client{
		// Between two fetches no connection is worth keeping.
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		// A redirect could leave HTTPS, so only the configured URL is trusted.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return nil, err
		}
		resp, err := client.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("GET %s: %s", url, resp.Status)
		}
		return io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	}
}
