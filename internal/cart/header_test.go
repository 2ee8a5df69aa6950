package cart

import (
	"slices"
	"strings"
	"testing"
)

func TestParseMatch(t *testing.T) {
	for text, want := range map[string]*Match{
		"*":                          {},
		` * `:                        {},
		`"17-5"`:                     {Tags: []Tag{{17, 5}}},
		`W/"17-5"`:                   {Tags: []Tag{{17, 5}}},
		`"17-5.p1a2b3c4d"`:           {Tags: []Tag{{17, 5}}},
		`"17-5" , W/"18-1",, "x" , `: {Tags: []Tag{{17, 5}, {18, 1}, {}}},
		`""`:                         {Tags: []Tag{{}}},
		`"017-5"`:                    {Tags: []Tag{{}}},
		`"17-0"`:                     {Tags: []Tag{{}}},
		`"17--5"`:                    {Tags: []Tag{{}}},
		`"99999999999999999999-1"`:   {Tags: []Tag{{}}},
		`"a,b"`:                      {Tags: []Tag{{}}},
		``:                           nil,
		`,`:                          nil,
		`17-5`:                       nil,
		`"17-5`:                      nil,
		`"17-5" "18-1"`:              nil,
		`"17-5"x`:                    nil,
		`w/"17-5"`:                   nil,
		`*, "17-5"`:                  nil,
		`"17 5"`:                     nil,
	} {
		got, err := ParseMatch(text)
		switch {
		case want == nil && CodeOf(err) != CodeInvalid:
			t.Errorf("%q is read as %+v, %v", text, got, err)
		case want != nil && (err != nil || !slices.Equal(got.Tags, want.Tags)):
			t.Errorf("%q is read as %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestNoCartHasAForeignTag(t *testing.T) {
	m, err := ParseMatch(`"abc"`)
	if err != nil || m.Matches(&Cart{ID: 1, Version: 1}) || m.Matches(nil) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestParseKey(t *testing.T) {
	long := strings.Repeat("x", MaxKey)
	for text, want := range map[string]string{
		"a": "a", ` a `: "a", `"a"`: "a", `"a\"b\\c"`: `a"b\c`, `a"b`: `a"b`, `a,b`: `a,b`, long: long, `"` + long + `"`: long,
		"": "", `""`: "", "a b": "", `"a b"`: "", `"a`: "", `"a"b`: "", `"a\b"`: "", `"a\`: "", "é": "", "a\x7f": "", long + "x": "",
	} {
		got, err := ParseKey(text)
		if want == "" && CodeOf(err) != CodeInvalid || want != "" && (err != nil || got != want) {
			t.Errorf("%.20q is read as %.20q, %v; want %.20q", text, got, err, want)
		}
	}
}

// FuzzHeaders reads any text as a condition and as a key. What is read can be written and read again.
func FuzzHeaders(f *testing.F) {
	for _, text := range []string{"*", `"17-5"`, `W/"17-5.x", "a"`, `"a\"b"`, "a", `"`, "\\", ","} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := ParseMatch(text); err == nil {
			for _, tag := range m.Tags {
				again, err := ParseMatch(tag.String())
				if err != nil || len(again.Tags) != 1 || again.Tags[0] != tag {
					t.Errorf("%v is read as %+v, %v", tag, again, err)
				}
			}
		}
		if key, err := ParseKey(text); err == nil && !ValidKey(key) {
			t.Errorf("%q is no key", key)
		}
	})
}
