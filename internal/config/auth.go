package config

import (
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
)

// Tokens are the secrets of services. fmt, log/slog and encoders print letters x in their place; only List returns them.
type Tokens struct {
	joined *string // by commas; a pointer for the same reason as in DatabaseURL
}

// tokenForm is the form of tokens in a header (RFC 6750, section 2.1), of a length that cannot be guessed.
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]{32,}$`)

// parseTokens reads a value of AUTH_TOKENS.
func parseTokens(raw string) (Tokens, error) {
	list, ok := splitTokens(raw, ",")
	if !ok {
		return Tokens{}, &InvalidError{Name: "AUTH_TOKENS", Held: "…", Want: holdsOf("AuthTokens")}
	}
	joined := strings.Join(list, ",")
	return Tokens{&joined}, nil
}

// splitTokens returns the tokens in the text; ok reports whether there are any and all are well-formed.
func splitTokens(text, separator string) (list []string, ok bool) {
	for token := range strings.SplitSeq(text, separator) {
		token = strings.TrimSpace(token)
		if token == "" {
			continue
		}
		if !tokenForm.MatchString(token) {
			return nil, false
		}
		list = append(list, token)
	}
	return list, len(list) > 0
}

// List returns the tokens.
func (t Tokens) List() []string {
	if t.joined == nil {
		return nil
	}
	return strings.Split(*t.joined, ",")
}

// String returns xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx for each token, separated by commas.
func (t Tokens) String() string {
	redacted := make([]string, len(t.List()))
	for i := range redacted {
		redacted[i] = strings.Repeat("x", 32)
	}
	return strings.Join(redacted, ",")
}

// Format prints String for every verb, also for those that would print the fields.
func (t Tokens) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), t.String())
}

// LogValue returns String.
func (t Tokens) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText returns String. JSON and YAML use it.
func (t Tokens) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// ServiceTokens returns the tokens of AUTH_TOKENS and AUTH_TOKENS_FILE. Its error is an *InvalidError about the file, which
// only serve reads: other subcommands may run where it is missing.
func (c Config) ServiceTokens() ([]string, error) {
	list := c.AuthTokens.List()
	if c.AuthTokensFile == "" {
		return list, nil
	}
	content, err := os.ReadFile(c.AuthTokensFile)
	more, ok := splitTokens(string(content), "\n")
	if err != nil || !ok {
		return nil, &InvalidError{Name: "AUTH_TOKENS_FILE", Held: c.AuthTokensFile, Want: holdsOf("AuthTokensFile")}
	}
	return append(more, list...), nil
}

// invalidAuth checks that AUTH_MODE and its variables fit together. Credentials that the mode ignores are an error, since
// the operator who set them expects them to take effect.
func invalidAuth(c Config, vars map[string]string) (problems []error) {
	jwt := []string{"AUTH_JWT_ISSUER", "AUTH_JWT_AUDIENCE", "AUTH_JWKS"}
	tokens := []string{"AUTH_TOKENS", "AUTH_TOKENS_FILE"}
	demand := func(name, want string) {
		problems = append(problems, &InvalidError{Name: name, Held: vars[name], Want: want})
	}
	switch c.AuthMode {
	case "jwt":
		for _, name := range jwt {
			if vars[name] == "" {
				demand(name, "set when AUTH_MODE is jwt")
			}
		}
	case "token":
		if vars[tokens[0]] == "" && vars[tokens[1]] == "" {
			demand(tokens[0], "set, or AUTH_TOKENS_FILE, when AUTH_MODE is token")
		}
		if name := firstSet(vars, jwt); name != "" {
			demand("AUTH_MODE", "jwt when "+name+" is set")
		}
	case "none":
		if name := firstSet(vars, append(tokens, jwt...)); name != "" {
			demand("AUTH_MODE", "token or jwt when "+name+" is set")
		}
	}
	return problems
}

// firstSet returns the first variable that is set, "" where none is.
func firstSet(vars map[string]string, names []string) string {
	for _, name := range names {
		if vars[name] != "" {
			return name
		}
	}
	return ""
}
