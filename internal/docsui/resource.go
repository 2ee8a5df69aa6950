package docsui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// contentTypes are named here because package mime would ask the machine it runs on.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".png":  "image/png",
}

// resource is one file in both of the encodings it is served in.
type resource struct {
	contentType string
	hash        string
	plain       []byte
	gzipped     []byte
}

func newResource(name string, plain []byte) (*resource, error) {
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	if _, err := zw.Write(plain); err != nil {
		return nil, fmt.Errorf("docsui: compress %s: %w", name, err)
	}
	if err := zw.Close(); err != nil {
		return nil, fmt.Errorf("docsui: compress %s: %w", name, err)
	}
	return makeResource(name, plain, packed.Bytes()), nil
}

func newGzippedResource(name string, gzipped []byte) (*resource, error) {
	zr, err := gzip.NewReader(bytes.NewReader(gzipped))
	if err != nil {
		return nil, fmt.Errorf("docsui: unpack %s: %w", name, err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil {
		return nil, fmt.Errorf("docsui: unpack %s: %w", name, err)
	}
	return makeResource(name, plain, gzipped), nil
}

func makeResource(name string, plain, gzipped []byte) *resource {
	contentType, ok := contentTypes[path.Ext(name)]
	if !ok {
		contentType = "text/plain; charset=utf-8" // Licences and notices.
	}
	sum := sha256.Sum256(plain)
	return &resource{contentType: contentType, hash: hex.EncodeToString(sum[:8]), plain: plain, gzipped: gzipped}
}

// ServeHTTP writes the file, compressed if the client accepts that. A cache may keep it but asks
// each time whether it is still current, which its ETag makes cheap; so pages, viewers and document
// always belong to one release.
func (res *resource) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, tag := res.plain, res.hash
	h := w.Header()
	if acceptsGzip(r.Header) {
		body, tag = res.gzipped, res.hash+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", res.contentType)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", strconv.Quote(tag))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reports whether Accept-Encoding names gzip, or everything, and does not refuse it
// with a weight of zero.
func acceptsGzip(h http.Header) bool {
	accepted := false
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		weight, weighted := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		wanted := !weighted || err == nil && q > 0
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip":
			return wanted
		case "*":
			accepted = wanted
		}
	}
	return accepted
}
