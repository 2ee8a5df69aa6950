package rest

import (
	"net/http"

	"github.com/rs/cors"
)

// preflightAge is how long browsers may cache a preflight answer, in seconds. Chromium caches it for no longer.
const preflightAge = 2 * 60 * 60

// forBrowsers returns s or, if other origins may call it, a handler around s that tells browsers so.
func (s *server) forBrowsers() http.Handler {
	if len(s.Origins) == 0 {
		return s
	}
	for _, origin := range s.Origins {
		if err := s.crossSite.AddTrustedOrigin(origin); err != nil {
			panic(err) // See Options.
		}
	}
	return cors.New(cors.Options{
		AllowedOrigins: s.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		// Any: a page's libraries, such as those for tracing, add headers of their own.
		AllowedHeaders:   []string{"*"},
		ExposedHeaders:   []string{"ETag", "Idempotency-Replayed", "Retry-After", "X-Request-Id"},
		AllowCredentials: true,
		MaxAge:           preflightAge,
	}).Handler(s)
}

// checkSite refuses a browser's request from a page of another origin, unless the origin is allowed or the method is
// safe. Only browsers send Sec-Fetch-Site.
func (s *server) checkSite(r *http.Request) error {
	if r.Header.Get("Sec-Fetch-Site") != "" && s.crossSite.Check(r) != nil {
		return errOtherSite
	}
	return nil
}
