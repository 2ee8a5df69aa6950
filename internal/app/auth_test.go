package app

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	authtest "github.com/sellio/sellio-cart/internal/test/auth"
)

// Tokens of services, before and after a rotation.
const (
	oldToken = "old-0123456789-0123456789-0123456789"
	newToken = "new-0123456789-0123456789-0123456789"
)

// jwtMode returns the settings for users with JWTs of the key.
func jwtMode(t *testing.T, key *authtest.Key) []string {
	t.Helper()
	return []string{
		"AUTH_MODE=jwt", "AUTH_JWT_ISSUER=" + authtest.Issuer, "AUTH_JWT_AUDIENCE=" + authtest.Audience,
		"AUTH_JWKS=" + authtest.NewServer(t, key).URL, "AUTH_TOKENS=" + oldToken + "," + newToken,
	}
}

// party is a sender of requests.
type party struct {
	name    string
	header  []string // names and values, for both transports
	owner   string   // the owner whose carts the party may reach, as JSON names it in a request
	service bool
	refused bool // every request
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }
func holding(c string) []string    { return []string{"Cookie", "a=b; sellio_cart=" + c} }

// How a request names an owner.
const (
	theUser  = `"user_id": 7`
	theGuest = `"cookie": "guest-7"`
)

// parties returns one party of each kind. The service trusts the key.
func parties(t *testing.T, key *authtest.Key) []party {
	t.Helper()
	return []party{
		{name: "a service", header: bearer(newToken), service: true},
		{name: "a service that has not rotated yet", header: bearer(oldToken), service: true},
		{name: "the user", header: bearer(key.Token("7")), owner: theUser},
		{name: "the guest", header: holding("guest-7"), owner: theGuest},
		{name: "another user", header: bearer(key.Token("8")), owner: `"user_id": 8`},
		{name: "another user who holds the cookie", header: append(holding("guest-7"), bearer(key.Token("8"))...), owner: `"user_id": 8`},
		{name: "another guest", header: holding("guest-8"), owner: `"cookie": "guest-8"`},
		{name: "a guest behind basic auth", header: append(holding("guest-7"), "Authorization", "Basic dTpw"), owner: theGuest},
		{name: "nobody"},
		{name: "nobody behind basic auth", header: []string{"Authorization", "Basic dTpw"}, refused: true},
		{name: "a bad token", header: bearer("x" + newToken), refused: true},
		{name: "an empty token", header: []string{"Authorization", "Bearer"}, refused: true},
		{name: "a bad token and the cookie", header: append(holding("guest-7"), bearer("x")...), refused: true},
		{name: "an expired token", refused: true, header: bearer(key.Token("7", func(c *jwt.Claims) {
			c.Expiry = jwt.NewNumericDate(time.Now().Add(-time.Hour))
		}))},
		{name: "another issuer", header: bearer(key.Token("7", func(c *jwt.Claims) { c.Issuer = "https://other.test" })), refused: true},
		{name: "another audience", header: bearer(key.Token("7", func(c *jwt.Claims) { c.Audience = jwt.Audience{"other"} })), refused: true},
		{name: "another key", header: bearer(authtest.NewKey(t, "k").Token("7")), refused: true},
		{name: "an unknown key", header: bearer(authtest.NewKey(t, "x").Token("7")), refused: true},
	}
}

// target is a cart that requests are about.
type target struct {
	id, company int64
	owner       string
}

// lastCompany numbers companies that have one cart each.
var lastCompany atomic.Int64

// newTarget makes a cart with the products 1 and 2.
func (s *shop) newTarget(owner string) target {
	s.Helper()
	o := target{company: lastCompany.Add(1), owner: owner}
	for product := range 2 {
		body := fmt.Sprintf(`{"company_id": %d, %s, "product_id": %d, "name": "x", "price": "1", "quantity": 1}`, o.company, owner, product+1)
		o.id = s.send(http.MethodPost, addItem, body, bearer(newToken)...).cart(http.StatusCreated).ID
	}
	return o
}

// restRequest is a request about a cart, and the status that a stranger gets.
type restRequest struct {
	method, path, body string
	stranger           int
}

// rest returns a request of each kind. Those that would make others fail come last.
func (o target) rest() []restRequest {
	line := `"product_id": 3, "name": "x", "price": "1", "quantity": 1`
	owner := fmt.Sprintf(`"company_id": %d, %s`, o.company, o.owner)
	byID := fmt.Sprintf("/api/v1/cart/%d", o.id)
	requests := []restRequest{
		{http.MethodGet, byID, "", 404},
		{http.MethodPost, "/api/v1/carts/by-ids", fmt.Sprintf(`{"ids": [%d]}`, o.id), 200},
		{http.MethodPost, upsert, "{" + owner + "}", 403},
		{http.MethodPost, addItem, "{" + owner + ", " + line + "}", 403},
		{http.MethodPost, "/api/v1/cart/changes", "{" + owner + `, "changes": [{"op": "put", ` + line + "}]}", 403},
		{http.MethodPost, byID + "/changes", `{"attributes": {"note": "x"}}`, 404},
		{http.MethodPut, "/api/v1/carts/status", fmt.Sprintf(`{"status": 1, "carts": [{"id": %d}]}`, o.id), 404},
		{http.MethodPost, byID + "/item", "{" + line + "}", 404},
		{http.MethodPut, byID + "/item/1/quantity", `{"quantity": 5}`, 404},
		{http.MethodPut, byID + "/item/2/quantity", `{"quantity": 0}`, 404},
		{http.MethodDelete, byID + "/item/1", "", 404},
		{http.MethodPut, byID + "/status", `{"status": 4}`, 404},
	}
	if o.owner == theUser { // a query cannot name a guest
		requests = append([]restRequest{
			{http.MethodGet, fmt.Sprintf("/api/v1/cart/active?company_id=%d&user_id=7", o.company), "", 403},
			{http.MethodGet, "/api/v1/carts/by-user?user_id=7", "", 403},
			{http.MethodGet, "/api/v1/basket?user_id=7", "", 403},
		}, requests...)
	}
	return requests
}

// rpcRequest is a restRequest over gRPC.
type rpcRequest struct {
	proto.Message
	stranger codes.Code
}

func (o target) rpc() []rpcRequest {
	setTwo := []*cartv1.ItemChange{{Op: &cartv1.ItemChange_Set{Set: &cartv1.SetQty{ProductId: 2, Quantity: 2}}}}
	user, cookie := int64(7), ""
	if o.owner == theGuest {
		user, cookie = 0, "guest-7"
	}
	requests := []rpcRequest{
		{&cartv1.GetCartRequest{CartId: o.id}, codes.NotFound},
		{&cartv1.ListByIdsRequest{Ids: []int64{o.id}}, codes.OK},
		{&cartv1.GetActiveCartRequest{CompanyId: o.company, UserId: user, Cookie: cookie}, codes.PermissionDenied},
		{&cartv1.UpsertCartRequest{CompanyId: o.company, UserId: user, Cookie: cookie}, codes.PermissionDenied},
		{&cartv1.AddItemRequest{CompanyId: o.company, UserId: user, Cookie: cookie, ProductId: 3, Name: "x", Price: "1", Quantity: 1}, codes.PermissionDenied},
		{&cartv1.GetBasketRequest{UserId: user, Cookie: cookie}, codes.PermissionDenied},
		{&cartv1.ChangeItemsRequest{CompanyId: o.company, UserId: user, Cookie: cookie, Changes: setTwo}, codes.PermissionDenied},
		{&cartv1.ChangeItemsRequest{CartId: o.id, Changes: setTwo}, codes.NotFound},
		{&cartv1.ChangeQtyRequest{CartId: o.id, ProductId: 2, By: 1, IdempotencyKey: "k"}, codes.NotFound},
		{&cartv1.ChangeStatusesRequest{Carts: []*cartv1.CartVersion{{Id: o.id}}, Status: cartv1.CartStatus_ACTIVE}, codes.NotFound},
		{&cartv1.UpsertItemRequest{CartId: o.id, ProductId: 3, Name: "x", Price: "1", Quantity: 1}, codes.NotFound},
		{&cartv1.UpdateQtyRequest{CartId: o.id, ProductId: 1, Quantity: 5}, codes.NotFound},
		{&cartv1.RemoveItemRequest{CartId: o.id, ProductId: 1}, codes.NotFound},
		{&cartv1.ChangeStatusRequest{CartId: o.id, Status: cartv1.CartStatus_CANCELLED}, codes.NotFound},
	}
	if user > 0 {
		requests = append(requests, rpcRequest{&cartv1.ListByUserRequest{UserId: user}, codes.PermissionDenied})
	}
	return requests
}

// TestWhoMayDoWhat lets a caller of each kind make a request of each kind about a user's and a guest's cart.
func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		key := authtest.NewKey(t, "k")
		s := openShop(t, serve(t, append(jwtMode(t, key), "DATABASE_URL="+url)...))
		db, _ := connect(t, url)
		for _, owner := range []string{theUser, theGuest} {
			for _, p := range parties(t, key) {
				t.Run(owner+" and "+p.name, func(t *testing.T) {
					s := s.in(t)
					before := s.newTarget(owner)
					theirs := p.service || p.owner == owner
					all := func() string { return dump(t, db) }
					was := all()
					for _, r := range before.rest() {
						s.checkREST(p, r, before, theirs)
						if now := all(); !theirs && now != was {
							s.Errorf("%s %s changed the database", r.method, r.path)
							was = now
						}
					}
					second := s.newTarget(owner)
					was = all()
					for _, r := range second.rpc() {
						s.checkRPC(p, r, second, theirs)
						if now := all(); !theirs && now != was {
							s.Errorf("%T changed the database", r.Message)
							was = now
						}
					}
				})
			}
		}
	})
}

// checkREST sends the request and checks the answer.
func (s *shop) checkREST(p party, r restRequest, o target, theirs bool) {
	s.Helper()
	a := s.send(r.method, r.path, r.body, p.header...).noCookie()
	switch {
	case p.refused:
		a.problem(http.StatusUnauthorized)
		want := "Bearer"
		if i := slices.Index(p.header, "Authorization"); i >= 0 && strings.HasPrefix(p.header[i+1], "Bearer") {
			want += ` error="invalid_token"`
		}
		if got := a.header.Get("WWW-Authenticate"); got != want {
			s.Errorf("%s: WWW-Authenticate %q, want %q", a.request, got, want)
		}
	case theirs:
		if a.status/100 != 2 || !strings.Contains(string(a.body), fmt.Sprintf(`"id":%d,`, o.id)) {
			s.Errorf("%s: status %d, want the cart: %s", a.request, a.status, a.body)
		}
	case a.status != r.stranger:
		s.Errorf("%s: status %d, want %d: %s", a.request, a.status, r.stranger, a.body)
	case r.stranger == http.StatusForbidden:
		a.problem(r.stranger)
	default: // as if there were no such cart
		id, none := fmt.Sprint(o.id), "99999999"
		body := strings.NewReplacer("["+id+"]", "["+none+"]", `"id": `+id, `"id": `+none).Replace(r.body)
		b := s.send(r.method, strings.Replace(r.path, "/cart/"+id, "/cart/"+none, 1), body, p.header...).noCookie()
		if b.status != a.status || strings.ReplaceAll(string(b.body), none, id) != string(a.body) {
			s.Errorf("%s is told from a cart that does not exist:\n%d %s\n%d %s", a.request, a.status, a.body, b.status, b.body)
		}
	}
}

// checkRPC does the same over gRPC, where a caller without credentials is refused.
func (s *shop) checkRPC(p party, r rpcRequest, o target, theirs bool) {
	s.Helper()
	answer, err := s.ask(r.Message, p.header...)
	want := r.stranger
	switch {
	case p.refused || p.header == nil:
		want = codes.Unauthenticated
	case theirs:
		want = codes.OK
	}
	if status.Code(err) != want {
		s.Errorf("%T: got %v, want %v", r.Message, err, want)
	}
	if shown := strings.Contains(fmt.Sprint(answer), fmt.Sprintf("company_id:%d ", o.company)); shown != theirs {
		s.Errorf("%T: shows the cart: %t, want %t: %v", r.Message, shown, theirs, answer)
	}
	if want == codes.NotFound && !strings.Contains(status.Convert(err).Message(), "There is no such cart.") {
		s.Errorf("%T: %v is told from a cart that does not exist", r.Message, err)
	}
}

// TestOneself checks that a caller that names no owner means itself.
func TestOneself(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	s := openShop(t, serve(t, jwtMode(t, key)...))
	user := append(holding("stale"), bearer(key.Token("7"))...)
	for name, p := range map[string]party{
		"user":  {header: user, owner: "user_id:7"},
		"guest": {header: holding("guest-7"), owner: `cookie:"guest-7"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			c := s.send(http.MethodPost, addItem, addTea, p.header...).noCookie().cart(http.StatusCreated)
			s.same(s.send(http.MethodPost, upsert, upsertCart, p.header...).noCookie().cart(http.StatusCreated), c)
			s.same(s.send(http.MethodGet, active, "", p.header...).noCookie().cart(http.StatusOK), c)
			for _, req := range []proto.Message{
				&cartv1.GetActiveCartRequest{CompanyId: 1}, &cartv1.UpsertCartRequest{CompanyId: 1},
				&cartv1.AddItemRequest{CompanyId: 1, ProductId: 1, Name: "Tea", Price: "1", Quantity: 1},
			} {
				answer, err := s.ask(req, p.header...)
				if text := fmt.Sprint(answer); err != nil || !strings.Contains(text, p.owner) || !strings.Contains(text, fmt.Sprintf("id:%d ", c.ID)) {
					s.Errorf("%T: %v, %v; want cart %d", req, answer, err, c.ID)
				}
			}
		})
	}
	t.Run("user with both", func(t *testing.T) {
		c := s.in(t).send(http.MethodPost, upsert, `{"company_id": 2, "user_id": 7, "cookie": "any"}`, user...).noCookie().cart(http.StatusCreated)
		if c.UserID == nil || *c.UserID != 7 || c.Cookie != nil {
			t.Errorf("got %+v", c)
		}
	})
	t.Run("user with a cookie only", func(t *testing.T) {
		s.in(t).send(http.MethodPost, upsert, `{"company_id": 2, "cookie": "stale"}`, user...).noCookie().problem(http.StatusForbidden)
	})
	t.Run("fresh guest", func(t *testing.T) { testFreshGuest(s.in(t)) })
	t.Run("service", func(t *testing.T) {
		s := s.in(t)
		a := s.send(http.MethodPost, upsert, upsertCart, bearer(newToken)...)
		if c := a.cart(http.StatusCreated); *c.Cookie != a.guestCookie(false) {
			s.Errorf("the service was given %+v", c)
		}
		_, err := s.ask(&cartv1.UpsertCartRequest{CompanyId: 1}, bearer(newToken)...)
		s.code(err, codes.InvalidArgument)
	})
}

func testFreshGuest(s *shop) {
	a := s.get(active)
	a.problem(http.StatusNotFound)
	a.guestCookie(false)
	a = s.post(addTea, addItem)
	c, cookie := a.cart(http.StatusCreated), a.guestCookie(false)
	s.same(s.by(cookie, http.MethodGet, fmt.Sprintf("/api/v1/cart/%d", c.ID), "").noCookie().cart(http.StatusOK), c)
	s.get("/api/v1/cart/%d", c.ID).noCookie().problem(http.StatusNotFound)
	s.post(`{"company_id": 1, "cookie": "`+cookie+`"}`, upsert).noCookie().problem(http.StatusForbidden)
	_, err := s.ask(&cartv1.UpsertCartRequest{CompanyId: 1, Cookie: cookie})
	s.code(err, codes.Unauthenticated)
}

// TestTokenMode checks that only services are let in, with any of the tokens.
func TestTokenMode(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/tokens"
	if err := os.WriteFile(file, []byte(newToken+"\r\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openShop(t, serve(t, "AUTH_MODE=token", "AUTH_TOKENS=other-"+newToken+", "+oldToken+",", "AUTH_TOKENS_FILE="+file))
	o := s.newTarget(theUser)
	for _, p := range parties(t, authtest.NewKey(t, "k")) {
		t.Run(p.name, func(t *testing.T) {
			s := s.in(t)
			p.refused = !p.service
			for _, r := range o.rest()[:4] {
				s.checkREST(p, r, o, p.service)
			}
			for _, r := range o.rpc()[:4] {
				s.checkRPC(p, r, o, p.service)
			}
		})
	}
	t.Run("before the request is read", func(t *testing.T) {
		s := s.in(t)
		s.post("{", addItem).problem(http.StatusUnauthorized)
		s.get("/api/v1/cart/x").problem(http.StatusUnauthorized)
		s.get(active).noCookie().problem(http.StatusUnauthorized)
	})
	t.Run("open to all", func(t *testing.T) { testOpenToAll(s.in(t)) })
}

// testOpenToAll checks that, of all that the document describes, only carts are guarded.
func testOpenToAll(s *shop) {
	var document struct {
		Paths map[string]map[string]any
	}
	s.get("/openapi.json").into(&document, http.StatusOK)
	for _, header := range [][]string{nil, bearer("x")} {
		for path, operations := range document.Paths {
			for method := range operations {
				if method == "parameters" {
					continue
				}
				a := s.send(strings.ToUpper(method), path, "", header...)
				if refused, guarded := a.status == http.StatusUnauthorized, strings.HasPrefix(path, "/api/v1/cart") || path == "/api/v1/basket"; refused != guarded {
					s.Errorf("%s: status %d, guarded: %t", a.request, a.status, guarded)
				}
			}
		}
		for _, path := range []string{"/", "/healthz", "/api/v1/healthz", "/docs", "/redoc"} {
			if a := s.send(http.MethodGet, path, "", header...); a.status != http.StatusOK {
				s.Errorf("%s: status %d", a.request, a.status)
			}
		}
	}
	s.get("/nope").problem(http.StatusNotFound)
	testHealth(s)
	s.reflected("sellio.cart.v1.CartService")
}

// TestKeyRotation lets an issuer change its key while the service runs.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	first, second := authtest.NewKey(t, "1"), authtest.NewKey(t, "2")
	issuer := authtest.NewServer(t, first)
	s := openShop(t, serve(t, append(jwtMode(t, first), "AUTH_JWKS="+issuer.URL)...))
	list := func(key *authtest.Key) answer {
		return s.send(http.MethodGet, "/api/v1/carts/by-user?user_id=7", "", bearer(key.Token("7"))...)
	}
	list(first).carts()
	issuer.Serve(authtest.JWKS(t, first, second))
	list(second).carts()
	list(first).carts()
}

func TestNoKeys(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	issuer := authtest.NewServer(t)
	issuer.Serve(nil)
	s := openShop(t, serve(t, append(jwtMode(t, key), "AUTH_JWKS="+issuer.URL)...))
	s.send(http.MethodGet, active, "", bearer(key.Token("7"))...).problem(http.StatusServiceUnavailable)
	_, err := s.ask(&cartv1.GetActiveCartRequest{CompanyId: 1}, bearer(key.Token("7"))...)
	s.code(err, codes.Unavailable)
	s.by("mine", http.MethodPost, addItem, addTea).cart(http.StatusCreated)
}

func TestBadAuthSettings(t *testing.T) {
	t.Parallel()
	jwt := []string{"AUTH_MODE=jwt", "AUTH_JWT_ISSUER=a", "AUTH_JWT_AUDIENCE=b", "AUTH_JWKS=https://issuer.test/keys"}
	for name, tt := range map[string]struct {
		env  []string
		want string // how the line begins
	}{
		"unknown mode":        {[]string{"AUTH_MODE=basic"}, `AUTH_MODE="basic": must be none, token or jwt`},
		"no tokens":           {[]string{"AUTH_MODE=token"}, `AUTH_TOKENS="": must be set`},
		"commas only":         {[]string{"AUTH_MODE=token", "AUTH_TOKENS=,"}, "AUTH_TOKENS="},
		"short token":         {[]string{"AUTH_MODE=token", "AUTH_TOKENS=" + newToken + ",s3cret"}, "AUTH_TOKENS="},
		"token with a blank":  {[]string{"AUTH_MODE=token", "AUTH_TOKENS=" + newToken + " s3cret"}, "AUTH_TOKENS="},
		"no such file":        {[]string{"AUTH_MODE=token", "AUTH_TOKENS_FILE=/nonexistent"}, `AUTH_TOKENS_FILE="/nonexistent": must be`},
		"file without tokens": {[]string{"AUTH_MODE=token", "AUTH_TOKENS_FILE=/dev/null"}, "AUTH_TOKENS_FILE="},
		"no issuer":           {append(jwt, "AUTH_JWT_ISSUER="), `AUTH_JWT_ISSUER="": must be set`},
		"no audience":         {append(jwt, "AUTH_JWT_AUDIENCE="), `AUTH_JWT_AUDIENCE="": must be set`},
		"no keys":             {append(jwt, "AUTH_JWKS="), `AUTH_JWKS="": must be set`},
		"no file of keys":     {append(jwt, "AUTH_JWKS=/nonexistent"), `AUTH_JWKS="/nonexistent": open /nonexistent`},
		"bad file of keys":    {append(jwt, "AUTH_JWKS=/dev/null"), `AUTH_JWKS="/dev/null": no JWKS`},
		"password in the URL": {append(jwt, "AUTH_JWKS=https://u:s3cret@issuer.test"), `AUTH_JWKS="https://…": must be`},
		"another scheme":      {append(jwt, "AUTH_JWKS=ftp://issuer.test"), `AUTH_JWKS="ftp://…": must be`},
		"tokens unasked for":  {[]string{"AUTH_TOKENS=" + newToken}, `AUTH_MODE="": must be token or jwt`},
		"issuer unasked for":  {[]string{"AUTH_MODE=token", "AUTH_TOKENS=" + newToken, "AUTH_JWT_ISSUER=a"}, `AUTH_MODE="token": must be jwt`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, code := runOnce(t, nil, tt.env...)
			if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "sellio-cart: "+tt.want) {
				t.Errorf("exit code %d, want 1 and one line that begins with %q:\n%s", code, tt.want, stderr)
			}
			if strings.Contains(stderr, "s3cret") || strings.Contains(stderr, newToken) {
				t.Errorf("the line shows a secret:\n%s", stderr)
			}
		})
	}
}

func TestTrustIsLogged(t *testing.T) {
	t.Parallel()
	database := "DATABASE_URL=sqlite:" + t.TempDir() + "/cart.db"
	for name, tt := range map[string]struct {
		env  []string
		want bool
	}{
		"prod":             {[]string{"APP_ENV=prod", database}, true},
		"local":            {nil, false},
		"prod with tokens": {[]string{"APP_ENV=prod", database, "AUTH_MODE=token", "AUTH_TOKENS=" + newToken}, false},
	} {
		if log := serve(t, tt.env...).logged(); strings.Contains(log, "AUTH_MODE") != tt.want {
			t.Errorf("%s: warns: %t, want %t:\n%s", name, !tt.want, tt.want, log)
		}
	}
}

// TestSecretsStaySecret looks for the credentials of callers in everything that the service prints, at the lowest level.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	key := authtest.NewKey(t, "k")
	env := append(jwtMode(t, key), "LOG_LEVEL=debug")
	out, stderr, code := runOnce(t, []string{"config"}, env...)
	if code != 0 || !strings.Contains(out, "\nAUTH_MODE=jwt\n") {
		t.Errorf("config: exit code %d\n%s%s", code, out, stderr)
	}
	p := serve(t, env...)
	s := openShop(t, p)
	o := s.newTarget(theGuest)
	callers := parties(t, key)
	for _, c := range callers {
		for _, r := range o.rest() {
			s.send(r.method, r.path, r.body, c.header...)
		}
		for _, r := range o.rpc() {
			s.ask(r.Message, c.header...)
		}
	}
	printed := out + p.logged()
	if !strings.Contains(printed, "A bearer token was refused.") {
		t.Errorf("the log is not that of debugging:\n%s", printed)
	}
	secrets := []string{"guest-7", "guest-8"}
	for _, c := range callers {
		for _, value := range c.header {
			if token, ok := strings.CutPrefix(value, "Bearer "); ok && len(token) > 1 {
				secrets = append(secrets, strings.Split(token, ".")...)
			}
		}
	}
	for _, secret := range secrets {
		if strings.Contains(printed, secret) {
			t.Errorf("%q is printed", secret)
		}
	}
}

// TestWhoMayMerge lets a caller of each kind merge the carts of a guest into those of a user.
func TestWhoMayMerge(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		key := authtest.NewKey(t, "k")
		s := openShop(t, serve(t, append(jwtMode(t, key), "DATABASE_URL="+url)...))
		user := bearer(key.Token("7"))
		for name, tt := range map[string]struct {
			header []string
			body   string
			want   int
		}{
			"a service, any pair":                        {bearer(newToken), `{"user_id": 7, "cookie": "any"}`, http.StatusOK},
			"a service without a user":                   {bearer(newToken), `{"cookie": "any"}`, http.StatusUnprocessableEntity},
			"a user with the cookie of the request":      {append(holding("mine"), user...), `{"user_id": 7}`, http.StatusOK},
			"a user who names nobody":                    {append(holding("mine"), user...), `{}`, http.StatusOK},
			"a user with the same cookie in the body":    {append(holding("mine"), user...), `{"cookie": "mine"}`, http.StatusOK},
			"a user with another cookie in the body":     {append(holding("mine"), user...), `{"cookie": "theirs"}`, http.StatusForbidden},
			"a user with a cookie in the body only":      {user, `{"cookie": "theirs"}`, http.StatusForbidden},
			"a user without a cookie: nothing to merge":  {user, `{}`, http.StatusOK},
			"a user into another":                        {append(holding("mine"), user...), `{"user_id": 8}`, http.StatusForbidden},
			"a guest into a user":                        {holding("mine"), `{"user_id": 7}`, http.StatusForbidden},
			"a guest who names nobody":                   {holding("mine"), `{}`, http.StatusForbidden},
			"a guest with the cookie of another":         {holding("mine"), `{"user_id": 7, "cookie": "theirs"}`, http.StatusForbidden},
			"somebody with a token that is not valid":    {bearer("x"), `{"user_id": 7}`, http.StatusUnauthorized},
			"nobody, who becomes a guest and is no user": {nil, `{"user_id": 7}`, http.StatusForbidden},
		} {
			if a := s.send(http.MethodPost, "/api/v1/carts/merge", tt.body, tt.header...); a.status != tt.want {
				t.Errorf("%s: status %d, want %d: %s", name, a.status, tt.want, a.body)
			}
		}
		for name, tt := range map[string]struct {
			header []string
			req    *cartv1.MergeCartsRequest
			want   codes.Code
		}{
			"a service":                  {bearer(newToken), &cartv1.MergeCartsRequest{UserId: 7, Cookie: "any"}, codes.OK},
			"a user with a cookie":       {append(holding("mine"), user...), &cartv1.MergeCartsRequest{}, codes.OK},
			"a user with another cookie": {append(holding("mine"), user...), &cartv1.MergeCartsRequest{Cookie: "theirs"}, codes.PermissionDenied},
			"a user into another":        {append(holding("mine"), user...), &cartv1.MergeCartsRequest{UserId: 8}, codes.PermissionDenied},
			"a guest":                    {holding("mine"), &cartv1.MergeCartsRequest{UserId: 7}, codes.PermissionDenied},
			"a guest who names nobody":   {holding("mine"), &cartv1.MergeCartsRequest{}, codes.PermissionDenied},
		} {
			_, err := s.ask(tt.req, tt.header...)
			if status.Code(err) != tt.want {
				t.Errorf("gRPC, %s: %v, want %v", name, err, tt.want)
			}
		}
	})
}
