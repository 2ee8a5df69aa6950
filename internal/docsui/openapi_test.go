package docsui

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func TestOpenAPIJSON(t *testing.T) {
	const spec = `# A comment.
openapi: 3.0.3
z: {minimum: -9223372036854775808, maximum: 9223372036854775807}
a: [18446744073709551616, 0.10, 99999999.99, 1e3, -0]
responses:
  200: fine
  "404": missing
quoted: ["1", 'true', "null", '0.10']
date: 2024-05-01T10:00:00Z
version: 1.0
nothing: [null, ~, ]
flags: [true, False, yes]
text: |
  <b> & "quotes" \ é

empty: {}
none: []
folded: >-
  one
  line
`
	const want = `{"openapi":"3.0.3",` +
		`"z":{"minimum":-9223372036854775808,"maximum":9223372036854775807},` +
		`"a":[18446744073709551616,0.10,99999999.99,1e3,-0],` +
		`"responses":{"200":"fine","404":"missing"},` +
		`"quoted":["1","true","null","0.10"],` +
		`"date":"2024-05-01T10:00:00Z",` +
		`"version":1.0,` +
		`"nothing":[null,null],` +
		`"flags":[true,false,"yes"],` +
		`"text":"\u003cb\u003e \u0026 \"quotes\" \\ é\n",` +
		`"empty":{},"none":[],"folded":"one line"}`
	got, err := openAPIJSON([]byte(spec))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("JSON (-want +got):\n%s", diff)
	}
	if !json.Valid(got) {
		t.Error("not valid JSON")
	}
}

func TestOpenAPIJSONRefuses(t *testing.T) {
	for name, spec := range map[string]string{
		"nothing":              "",
		"only a comment":       "# later",
		"broken YAML":          "openapi: [3.0.3",
		"a list":               "- openapi",
		"some other document":  "swagger: '2.0'",
		"a repeated key":       "openapi: 3.0.3\ninfo: 1\ninfo: 2",
		"one key, two types":   "openapi: 3.0.3\n200: a\n'200': b",
		"a key that is a list": "openapi: 3.0.3\n? [a]\n: b",
		"an alias":             "openapi: 3.0.3\na: &a 1\nb: *a",
		"an alias to itself":   "openapi: 3.0.3\na: &a [*a]",
		"a hexadecimal number": "openapi: 3.0.3\na: 0x10",
		"an octal number":      "openapi: 3.0.3\na: 0755",
		"infinity":             "openapi: 3.0.3\na: .inf",
		"not a number":         "openapi: 3.0.3\na: .nan",
		"binary data":          "openapi: 3.0.3\na: !!binary aGk=",
		"a mistyped bool":      "openapi: 3.0.3\na: !!bool maybe",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := openAPIJSON([]byte(spec)); err == nil {
				t.Errorf("no error, got %s", got)
			}
		})
	}
}

// Whatever a string looks like, number, bool or several lines, it comes out as that string.
func TestOpenAPIJSONKeepsStrings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[-+0-9.exo_:~ #'"\\<&{\[truenly世é]{0,12}`)
		want := map[string]string{
			"openapi":                 "3.0.3",
			"value":                   text.Draw(t, "line 1") + "\n" + text.Draw(t, "line 2"),
			text.Draw(t, "key") + "?": text.Draw(t, "value"),
		}
		spec, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		out, err := openAPIJSON(spec)
		if err != nil {
			t.Fatalf("%v\n%s", err, spec)
		}
		var got map[string]string
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("strings (-want +got):\n%s", diff)
		}
	})
}
