// Package docsui serves the documentation of the REST API: Swagger UI, ReDoc and the OpenAPI
// document they show. All files are embedded in the binary, so it works without internet access.
//
// The viewers in assets/ are third-party files that update.sh fetches; the pages that start them
// are in pages/.
package docsui

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed assets pages
var files embed.FS

// contentSecurityPolicy keeps the pages from reaching any other host, whatever the viewers or
// the document contain. Both viewers write style attributes, and ReDoc's search runs in a worker
// made from a blob.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; connect-src 'self'; worker-src blob:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the documentation of the API that spec, an OpenAPI document in YAML, describes:
//
//	/docs           Swagger UI; "Try it out" reaches this origin only
//	/docs/assets/…  the files that both pages need
//	/redoc          ReDoc
//	/openapi.json   the document as JSON
//
// It answers GET and HEAD, and 405 to other methods. Other paths are for next.
//
// It returns an error if spec is not YAML, is not an OpenAPI document, or has values that JSON cannot
// express exactly.
func Handler(spec []byte, next http.Handler) (http.Handler, error) {
	doc, err := openAPIJSON(spec)
	if err != nil {
		return nil, fmt.Errorf("docsui: OpenAPI document: %w", err)
	}
	document, err := newResource("openapi.json", doc)
	if err != nil {
		return nil, err
	}
	static, err := loadFiles()
	if err != nil {
		return nil, err
	}

	paths := map[string]http.Handler{
		"/docs":          static["swagger.html"],
		"/docs/":         redirect("../docs"),
		"/redoc":         static["redoc.html"],
		"/redoc/":        redirect("../redoc"),
		"/openapi.json":  document,
		"/openapi.json/": document,
	}
	for name, file := range static {
		if path.Ext(name) != ".html" {
			paths["/docs/assets/"+name] = file
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not a ServeMux: it would answer paths that contain // or /./, which are next's to answer.
		found, ok := paths[r.URL.Path]
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		serve(w, r, found)
	}), nil
}

func serve(w http.ResponseWriter, r *http.Request, found http.Handler) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	found.ServeHTTP(w, r)
}

// redirect sends browsers to the path below which the relative links of a page work. The target is relative, which
// http.Redirect cannot keep: a proxy may serve the pages below a path of its own.
func redirect(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusMovedPermanently)
	})
}

// loadFiles returns the embedded files by their path below assets/ or pages/. They never change,
// so they are unpacked once, however many handlers there are.
var loadFiles = sync.OnceValues(func() (map[string]*resource, error) {
	static := make(map[string]*resource)
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		_, name, _ = strings.Cut(name, "/")
		load := newResource
		if bare, ok := strings.CutSuffix(name, ".gz"); ok {
			name, load = bare, newGzippedResource
		}
		static[name], err = load(name, data)
		return err
	})
	return static, err
})
