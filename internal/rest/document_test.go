package rest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/sellio/sellio-cart/api"
	"github.com/sellio/sellio-cart/internal/cart"
)

// document loads the document once. Its router needs it to be valid, including its examples.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(api.OpenAPI)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(loader.Context, openapi3.EnableExamplesValidation())
})

var documentRoutes = sync.OnceValues(func() (routers.Router, error) {
	doc, err := document()
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

// conforms checks the answer against the document: status, content type and schema. If the document has no
// such path or method, the answer must be a problem.
func conforms(t *testing.T, req *http.Request, a answer) {
	t.Helper()
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	routes, err := documentRoutes()
	if err != nil {
		t.Fatal(err)
	}
	if req.Method == http.MethodHead {
		return // There is no body to check.
	}
	route, params, err := routes.FindRoute(req)
	if _, ok := errors.AsType[*routers.RouteError](err); ok {
		var value any
		if err := json.Unmarshal([]byte(a.body), &value); err != nil {
			t.Fatal(err)
		}
		if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s %s is not in the document and answered with %d", req.Method, req.URL, a.status)
		}
		if err := doc.Components.Schemas["Problem"].Value.VisitJSON(value); err != nil {
			t.Errorf("%s %s: %v", req.Method, req.URL, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 a.status,
		Header:                 a.header,
		Body:                   io.NopCloser(bytes.NewReader([]byte(a.body))),
		Options:                &openapi3filter.Options{IncludeResponseStatus: true},
	})
	if err != nil {
		t.Errorf("%s %s: %v", req.Method, req.URL, err)
	}
}

func TestDocumentIsValid(t *testing.T) {
	if _, err := document(); err != nil {
		t.Fatal(err)
	}
}

// The document allows exactly the texts that the service takes, so texts generated from the document are valid.
func TestDocumentedTexts(t *testing.T) {
	doc, err := document()
	if err != nil {
		t.Fatal(err)
	}
	takes := func(c cart.Command) bool { return c.Validate() == nil }
	for _, field := range []struct {
		schema, name string
		takes        func(text string) bool
	}{
		{"UpsertRequest", "cookie", func(s string) bool { return takes(cart.Upsert{CompanyID: 1, Owner: cart.Guest(s)}) }},
		{"ItemRequest", "name", func(s string) bool {
			return takes(cart.PutItem{CartID: 1, Item: cart.Item{ProductID: 1, Name: s, Quantity: 1}})
		}},
		{"ItemRequest", "price", func(s string) bool { _, err := cart.ParsePrice(s); return err == nil }},
	} {
		schema := doc.Components.Schemas[field.schema].Value.Properties[field.name].Value
		texts := []string{"", "é", "\u0080", "\u2028", "\ufffd", "😀", strings.Repeat("1", 255), strings.Repeat("1", 256), strings.Repeat("é", 255)}
		for c := range rune(0x80) {
			texts = append(texts, string(c), "1"+string(c), "1"+string(c)+"1")
		}
		for _, text := range texts {
			if allowed, taken := schema.VisitJSON(text) == nil, field.takes(text); allowed != taken {
				t.Errorf("%s %q: allowed by the document %v, taken %v", field.name, text, allowed, taken)
			}
		}
	}
}
