package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/config"
)

// Two tokens, of the least length.
const (
	tokenA = "aaaa0123456789-._~+/=ABCDEhunter"
	tokenB = "bbbb0123456789-._~+/=ABCDEhunter"
)

func TestServiceTokens(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tokens")
	for _, tt := range []struct {
		title, tokens, file string
		want                []string // nil: refused
		faulty              string   // then
	}{
		{"one", tokenA, "", []string{tokenA}, ""},
		{"two", tokenA + "," + tokenB, "", []string{tokenA, tokenB}, ""},
		{"with blanks", " " + tokenA + " ,\n" + tokenB + ",", "", []string{tokenA, tokenB}, ""},
		{"of a file", "", tokenA + "\n" + tokenB + "\n", []string{tokenA, tokenB}, ""},
		{"of a file from Windows", "", tokenA + "\r\n\r\n" + tokenB, []string{tokenA, tokenB}, ""},
		{"of both", tokenA, tokenB, []string{tokenB, tokenA}, ""},
		{"too short", tokenA[1:], "", nil, "AUTH_TOKENS"},
		{"one too short", tokenA + "," + tokenB[1:], "", nil, "AUTH_TOKENS"},
		{"no character of tokens", tokenA + "é", "", nil, "AUTH_TOKENS"},
		{"in quotes", `"` + tokenA + `"`, "", nil, "AUTH_TOKENS"},
		{"none", ",", "", nil, "AUTH_TOKENS"},
		{"a file with a bad one", tokenA, tokenA + "," + tokenB, nil, "AUTH_TOKENS_FILE"},
		{"a file with none", tokenA, "\n", nil, "AUTH_TOKENS_FILE"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			environ := []string{"AUTH_MODE=token", "AUTH_TOKENS=" + tt.tokens}
			if tt.file != "" {
				if err := os.WriteFile(file, []byte(tt.file), 0o600); err != nil {
					t.Fatal(err)
				}
				environ = append(environ, "AUTH_TOKENS_FILE="+file)
			}
			c, err := config.Load(environ, t.TempDir())
			var got []string
			if err == nil {
				got, err = c.ServiceTokens()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			invalid, _ := errors.AsType[*config.InvalidError](err)
			if tt.faulty == "" && err != nil || tt.faulty != "" && (invalid == nil || invalid.Name != tt.faulty) {
				t.Errorf("error %v, want one about %q", err, tt.faulty)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("want one line without tokens: %v", err)
			}
		})
	}
}

func TestNothingPrintsTokens(t *testing.T) {
	t.Parallel()
	c, err := config.Load([]string{"AUTH_MODE=token", "AUTH_TOKENS=" + tokenA + "," + tokenB}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	redacted := strings.Repeat("x", 32)
	if got, want := value(t, c, "AUTH_TOKENS"), redacted+","+redacted; got != want {
		t.Errorf("in Settings: %s, want %s", got, want)
	}
	for _, v := range []any{c, c.AuthTokens, &c, hidden{c}, &hidden{c}, c.Settings()} {
		if printed := forms(t, v); strings.Contains(printed, "0123456789") || strings.Contains(printed, "30313233") {
			t.Errorf("%T prints a token:\n%s", v, printed)
		}
	}
}
