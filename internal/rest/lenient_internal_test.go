package rest

import (
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzWhole compares whole with arithmetic, except for long exponents, with which arithmetic would take forever.
func FuzzWhole(f *testing.F) {
	for _, text := range []string{
		"", "0", "-0", "1", "-1", "2.0", "2.50", "1e1", "1.5e1", "15e-1", "1500e-2", "0.001e3", "0e999", "00", "1.", ".1", "+1", " 1", "1 ",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808.0", "1e18", "1e19", "1e1000000000", "0e99999999999999999999999",
		"1e-1000000000", "1E+0000000000000000000000000000000000001", "1_0", "0x1", "Infinity", "1e", "--1", "1e1.0",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := whole(text)
		if len(text) > maxNumber || !isNumber(text) {
			if ok {
				t.Errorf("%q is taken for %s", text, got)
			}
			return
		}
		if at := strings.IndexAny(text, "eE"); at >= 0 && len(text)-at > 4 {
			return
		}
		want, _ := new(big.Rat).SetString(text)
		if fits := want.IsInt() && want.Num().IsInt64(); ok != fits || ok && got != want.Num().String() {
			t.Errorf("%q became %q, %v, want %v", text, got, ok, want)
		}
	})
}

func TestVisitIsUnwrapped(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := http.NewResponseController(&visit{ResponseWriter: w}).Flush(); err != nil || !w.Flushed {
		t.Errorf("not flushed: %v", err)
	}
}
