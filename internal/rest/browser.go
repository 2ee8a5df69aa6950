package rest

import (
	"net/http"

	"github.com/rs/cors"
)

// preflightAge is how long browsers remember what they may send, in seconds. None remembers it for longer.
const preflightAge = 2 * 60 * 60

// forBrowsers returns the handler that tells browsers which other sites may call it, and refuses the others.
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
		// Any: which headers a page adds is up to the libraries for tracing and the like that it uses.
		AllowedHeaders:   []string{"*"},
		ExposedHeaders:   []string{"Retry-After", "X-Request-Id"},
		AllowCredentials: true,
		MaxAge:           preflightAge,
	}).Handler(s)
}

// checkSite refuses what a browser sends for a page of another origin, unless that is allowed or changes nothing.
// Only browsers say where a request comes from.
func (s *server) checkSite(r *http.Request) error {
	if r.Header.Get("Sec-Fetch-Site") != "" && s.crossSite.Check(r) != nil {
		return errOtherSite
	}
	return nil
}
