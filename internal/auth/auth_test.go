package auth

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/cart"
	authtest "github.com/sellio/sellio-cart/internal/test/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Tokens of services.
const (
	oldToken = "old-0123456789-0123456789-0123456789"
	newToken = "new-0123456789-0123456789-0123456789"
)

// open returns an authenticator.
func open(t *testing.T, o Options) *Authenticator {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// believing returns an authenticator that believes the tokens of services and JWTs of these keys.
func believing(t *testing.T, keys ...*authtest.Key) *Authenticator {
	t.Helper()
	jwks := authtest.NewServer(t, keys...).URL
	return open(t, Options{
		Tokens: []string{oldToken, newToken},
		JWT:    &JWT{Issuer: authtest.Issuer, Audience: authtest.Audience, JWKS: jwks},
	})
}

// ask authenticates a request with a guest's cookie, "" for none, and returns the caller, or the code of the refusal.
func ask(t *testing.T, a *Authenticator, cookie string, authorization ...string) (Caller, cart.Code) {
	t.Helper()
	c, err := a.Authenticate(t.Context(), authorization, []string{"sellio_cart=" + cookie}, nil)
	if err == nil {
		return c, cart.CodeInternal
	}
	if c != (Caller{}) {
		t.Errorf("%+v beside the error %v", c, err)
	}
	return c, cart.CodeOf(err)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	service := Caller{Service: true}
	user, visitor := Caller{Owner: cart.User(7), Cookie: "mine"}, Caller{Owner: cart.Guest("mine")}
	key := authtest.NewKey(t, "k")
	token := key.Token("7")
	servicesOnly, all := open(t, Options{Tokens: []string{oldToken, newToken}}), believing(t, key)
	for name, tt := range map[string]struct {
		authorization []string
		token, jwt    Caller // in mode token and in mode jwt; nobody is refused
	}{
		"a service":                 {[]string{"Bearer " + oldToken}, service, service},
		"another token of it":       {[]string{"Bearer " + newToken}, service, service},
		"scheme in small letters":   {[]string{"bearer " + newToken}, service, service},
		"a user":                    {[]string{"Bearer " + token}, Caller{}, user},
		"no header":                 {nil, Caller{}, visitor},
		"an empty header":           {[]string{""}, Caller{}, visitor},
		"another scheme":            {[]string{"Basic " + oldToken}, Caller{}, visitor},
		"no scheme":                 {[]string{oldToken}, Caller{}, visitor},
		"another scheme before":     {[]string{"Basic dTpw", "Bearer " + newToken}, service, service},
		"a bad bearer before":       {[]string{"Bearer x", "Bearer " + newToken}, Caller{}, Caller{}},
		"an empty bearer":           {[]string{"Bearer "}, Caller{}, Caller{}},
		"the scheme alone":          {[]string{"Bearer"}, Caller{}, Caller{}},
		"a part of a token":         {[]string{"Bearer " + newToken[:32]}, Caller{}, Caller{}},
		"more than a token":         {[]string{"Bearer " + newToken + "0"}, Caller{}, Caller{}},
		"a token in large letters":  {[]string{"Bearer " + strings.ToUpper(newToken)}, Caller{}, Caller{}},
		"two tokens":                {[]string{"Bearer " + oldToken + "," + newToken}, Caller{}, Caller{}},
		"a JWT cut short":           {[]string{"Bearer " + token[:len(token)-2]}, Caller{}, Caller{}},
		"a JWT without a signature": {[]string{"Bearer " + token[:strings.LastIndex(token, ".")+1]}, Caller{}, Caller{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for mode, want := range map[string]Caller{"token": tt.token, "jwt": tt.jwt} {
				a := map[string]*Authenticator{"token": servicesOnly, "jwt": all}[mode]
				got, code := ask(t, a, "mine", tt.authorization...)
				if got != want || want == (Caller{}) && code != cart.CodeUnauthenticated {
					t.Errorf("mode %s: got %+v, code %d; want %+v", mode, got, code, want)
				}
			}
		})
	}
}

func TestNobody(t *testing.T) {
	t.Parallel()
	if got, code := ask(t, believing(t, authtest.NewKey(t, "k")), ""); code != cart.CodeUnauthenticated {
		t.Errorf("who holds no cookie is %+v, code %d", got, code)
	}
}

// TestNewGuests is about requests without a valid cookie, where new guests are welcome.
func TestNewGuests(t *testing.T) {
	t.Parallel()
	a := believing(t, authtest.NewKey(t, "k"))
	fresh := func() string { return "fresh" }
	for name, tt := range map[string]struct {
		authorization, cookies []string
		want                   cart.Owner // nobody: refused
	}{
		"nothing":                            {nil, nil, cart.Guest("fresh")},
		"an empty header":                    {[]string{""}, nil, cart.Guest("fresh")},
		"another cookie":                     {nil, []string{"a=b"}, cart.Guest("fresh")},
		"a cookie that is not valid":         {nil, []string{"sellio_cart="}, cart.Guest("fresh")},
		"a cookie":                           {nil, []string{"sellio_cart=mine"}, cart.Guest("mine")},
		"another scheme and a cookie":        {[]string{"Basic dTpw"}, []string{"sellio_cart=mine"}, cart.Guest("mine")},
		"another scheme":                     {[]string{"Basic dTpw"}, nil, cart.Owner{}},
		"another scheme and another cookie":  {[]string{"Digest a=b"}, []string{"a=b"}, cart.Owner{}},
		"another scheme and an invalid one":  {[]string{"Basic dTpw"}, []string{"sellio_cart="}, cart.Owner{}},
		"another scheme after an empty one":  {[]string{"", "Basic dTpw"}, nil, cart.Owner{}},
		"a token without a scheme":           {[]string{newToken}, nil, cart.Owner{}},
		"a bearer that is not valid":         {[]string{"Bearer x"}, nil, cart.Owner{}},
		"that beside a cookie that is valid": {[]string{"Bearer x"}, []string{"sellio_cart=mine"}, cart.Owner{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := a.Authenticate(t.Context(), tt.authorization, tt.cookies, fresh)
			if got != (Caller{Owner: tt.want}) || (err != nil) != tt.want.IsNobody() {
				t.Errorf("got %+v, %v; want %v", got, err, tt.want)
			}
		})
	}
}

// TestInvalidTokensAreTold checks that an invalid token can be told from a missing one.
func TestInvalidTokensAreTold(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	servicesOnly := open(t, Options{Tokens: []string{oldToken}})
	expired := key.Token("7", func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(time.Unix(1, 0)) })
	for name, a := range map[string]*Authenticator{"token": servicesOnly, "jwt": believing(t, key)} {
		for header, invalid := range map[string]bool{"Bearer x": true, "Bearer": true, "Bearer " + expired: true, "Basic dTpw": false, "": false} {
			_, err := a.Authenticate(t.Context(), []string{header}, nil, nil)
			if errors.Is(err, ErrInvalidToken) != invalid || cart.CodeOf(err) != cart.CodeUnauthenticated {
				t.Errorf("mode %s, %q: %v, code %d; want an invalid token: %t", name, header, err, cart.CodeOf(err), invalid)
			}
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	a := believing(t, key)
	in := func(d time.Duration) *jwt.NumericDate { return jwt.NewNumericDate(time.Now().Add(d)) }
	for name, tt := range map[string]struct {
		change func(*jwt.Claims)
		user   int64 // 0: refused
	}{
		"good":                {func(*jwt.Claims) {}, 7},
		"several audiences":   {func(c *jwt.Claims) { c.Audience = append(jwt.Audience{"other"}, c.Audience...) }, 7},
		"expired a moment":    {func(c *jwt.Claims) { c.Expiry = in(-20 * time.Second) }, 7},
		"clock a bit ahead":   {func(c *jwt.Claims) { c.NotBefore, c.IssuedAt = in(20*time.Second), in(20*time.Second) }, 7},
		"largest user":        {func(c *jwt.Claims) { c.Subject = "9223372036854775807" }, 1<<63 - 1},
		"expired":             {func(c *jwt.Claims) { c.Expiry = in(-time.Minute) }, 0},
		"never expires":       {func(c *jwt.Claims) { c.Expiry = nil }, 0},
		"not valid yet":       {func(c *jwt.Claims) { c.NotBefore = in(time.Minute) }, 0},
		"issued in future":    {func(c *jwt.Claims) { c.IssuedAt = in(time.Minute) }, 0},
		"another issuer":      {func(c *jwt.Claims) { c.Issuer += "/" }, 0},
		"no issuer":           {func(c *jwt.Claims) { c.Issuer = "" }, 0},
		"another audience":    {func(c *jwt.Claims) { c.Audience = jwt.Audience{"sellio"} }, 0},
		"no audience":         {func(c *jwt.Claims) { c.Audience = nil }, 0},
		"no subject":          {func(c *jwt.Claims) { c.Subject = "" }, 0},
		"user 0":              {func(c *jwt.Claims) { c.Subject = "0" }, 0},
		"negative user":       {func(c *jwt.Claims) { c.Subject = "-7" }, 0},
		"user with a sign":    {func(c *jwt.Claims) { c.Subject = "+7" }, 0},
		"user with zeros":     {func(c *jwt.Claims) { c.Subject = "007" }, 0},
		"user with a blank":   {func(c *jwt.Claims) { c.Subject = "7 " }, 0},
		"user with a point":   {func(c *jwt.Claims) { c.Subject = "7.0" }, 0},
		"user too large":      {func(c *jwt.Claims) { c.Subject = "9223372036854775808" }, 0},
		"user that is a name": {func(c *jwt.Claims) { c.Subject = "seven" }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, refused := Caller{Owner: cart.User(tt.user), Cookie: "mine"}, cart.CodeInternal
			if tt.user == 0 {
				want, refused = Caller{}, cart.CodeUnauthenticated
			}
			got, code := ask(t, a, "mine", "Bearer "+key.Token("7", tt.change))
			if got != want || code != refused {
				t.Errorf("got %+v, code %d; want %+v, code %d", got, code, want, refused)
			}
		})
	}
}

// TestForged is about tokens with the right claims that another key has signed, or none.
func TestForged(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	a := believing(t, key)
	public, err := x509.MarshalPKIXPublicKey(key.Public().Key)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{"iss": authtest.Issuer, "aud": authtest.Audience, "sub": "7", "exp": time.Now().Add(time.Hour).Unix()}
	withPublicKey, err := jwt.Signed(shared).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	good := key.Token("7")
	parts := strings.Split(good, ".")
	claims["sub"] = 7
	for name, token := range map[string]string{
		"another key of the same id":    authtest.NewKey(t, "k").Token("7"),
		"a key of an unknown id":        authtest.NewKey(t, "x").Token("7"),
		"a key without an id":           authtest.NewKey(t, "").Token("7"),
		"with the public key as secret": withPublicKey,
		"alg none":                      "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"claims of another token":       parts[0] + "." + strings.Split(key.Token("8"), ".")[1] + "." + parts[2],
		"a subject that is a number":    key.Sign(claims),
		"no JSON":                       "a.b.c",
		"encrypted":                     "a.b.c.d.e",
		"very long":                     strings.Repeat("a", 30_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, code := ask(t, a, "mine", "Bearer "+token); code != cart.CodeUnauthenticated {
				t.Errorf("got %+v, code %d", got, code)
			}
		})
	}
	if got, code := ask(t, a, "mine", "Bearer "+good); got.Owner != cart.User(7) {
		t.Errorf("the good token: got %+v, code %d", got, code)
	}
}

// TestLogSaysWhy checks that a refusal can be understood, and that nothing of the token is in the log.
func TestLogSaysWhy(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	var log strings.Builder
	a := open(t, Options{
		JWT:    &JWT{Issuer: authtest.Issuer, Audience: authtest.Audience, JWKS: authtest.NewServer(t, key).URL},
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	for _, tt := range []struct{ token, why string }{
		{key.Token("424242", func(c *jwt.Claims) { c.Issuer = "https://evil.test" }), "iss"},
		{key.Token("424242", func(c *jwt.Claims) { c.Audience = nil }), "aud"},
		{key.Token("424242", func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(time.Unix(1, 0)) }), "exp"},
		{key.Token("424242", func(c *jwt.Claims) { c.Expiry = nil }), "expires"},
		{key.Token("x424242"), "user"},
		{authtest.NewKey(t, "k").Token("424242"), "key"},
		{"424242", "JWT"},
	} {
		log.Reset()
		if _, code := ask(t, a, "", "Bearer "+tt.token); code != cart.CodeUnauthenticated {
			t.Errorf("%s: code %d", tt.why, code)
		}
		if text := log.String(); !strings.Contains(text, tt.why) || strings.Contains(text, "424242") || strings.Contains(text, "evil") {
			t.Errorf("want a line about %q without anything of the token: %s", tt.why, text)
		}
	}
}

func TestCookieOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		headers []string
		want    string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"sellio_cart=mine"}, "mine"},
		{[]string{"a=b; sellio_cart=mine; c=d"}, "mine"},
		{[]string{"a=b", "sellio_cart=mine"}, "mine"},
		{[]string{"sellio_cart=; sellio_cart=mine"}, "mine"},
		{[]string{"sellio_cart=first; sellio_cart=second"}, "second"},
		{[]string{"sellio_cart=first", "sellio_cart=second"}, "second"},
		{[]string{"sellio_cart=mine; sellio_cart=a b"}, "mine"},
		{[]string{"sellio_cart=mine; sellio_cart="}, "mine"},
		{[]string{"sellio_cart=" + strings.Repeat("x", 256)}, ""},
		{[]string{"Sellio_Cart=mine", "xsellio_cart=mine"}, ""},
		{[]string{"sellio_cart"}, ""},
	} {
		if got := CookieOf(tt.headers); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.headers, got, tt.want)
		}
	}
}

// TestCallersAreNotPrinted checks that the cookie of a guest stays out of what is printed.
func TestCallersAreNotPrinted(t *testing.T) {
	t.Parallel()
	c := Caller{Owner: cart.Guest("secret")}
	if got := fmt.Sprintf("%v %+v %s", c, c, c.Owner); strings.Contains(got, "secret") {
		t.Errorf("printed %s", got)
	}
	if got := CallerOf(With(context.Background(), c)); got != c {
		t.Errorf("the context gives %v", got)
	}
}
