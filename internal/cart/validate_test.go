package cart_test

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// wantFields checks that err is CodeInvalid and names exactly these fields; none means no error.
func wantFields(t testing.TB, err error, fields ...string) {
	t.Helper()
	if len(fields) == 0 {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	e, ok := errors.AsType[*cart.Error](err)
	if !ok || e.Code != cart.CodeInvalid {
		t.Errorf("%v, want fields %v to be refused", err, fields)
		return
	}
	var got []string
	for _, f := range e.Fields {
		got = append(got, f.Field)
		if !strings.HasPrefix(f.Detail, "Must be ") || !strings.HasSuffix(f.Detail, ".") {
			t.Errorf("%s: %q does not say what it must be", f.Field, f.Detail)
		}
		if !strings.Contains(e.Detail, f.Field) {
			t.Errorf("%q does not name %s", e.Detail, f.Field)
		}
	}
	if !slices.Equal(got, fields) {
		t.Errorf("fields %v, want %v", got, fields)
	}
}

func TestValidateCommands(t *testing.T) {
	t.Parallel()
	ok := line(1, 1)
	user := cart.User(7)
	for _, test := range []struct {
		cmd    cart.Command
		fields []string
	}{
		{cart.Upsert{CompanyID: 1, Owner: user}, nil},
		{cart.Upsert{CompanyID: math.MaxInt64, Owner: cart.User(math.MaxInt64)}, nil},
		{cart.Upsert{CompanyID: 1, Owner: cart.Guest("g")}, nil},
		{cart.Upsert{CompanyID: 0, Owner: user}, []string{"company_id"}},
		{cart.Upsert{CompanyID: 1}, []string{"owner"}},
		{cart.Upsert{CompanyID: -1}, []string{"company_id", "owner"}},
		{cart.Upsert{CompanyID: 1, Owner: cart.Owner{UserID: -7}}, []string{"user_id"}},
		{cart.Upsert{CompanyID: 1, Owner: cart.Guest("a b")}, []string{"cookie"}},
		{cart.AddItem{CompanyID: 1, Owner: user, Item: ok}, nil},
		{cart.AddItem{}, []string{"company_id", "owner", "product_id", "name", "quantity"}},
		{cart.PutItem{CartID: 1, Item: ok}, nil},
		{cart.PutItem{CartID: 0, Item: cart.Item{Price: -1}}, []string{"cart_id", "product_id", "name", "price", "quantity"}},
		{cart.SetQuantity{CartID: 1, ProductID: 1, Quantity: math.MinInt64}, nil},
		{cart.SetQuantity{CartID: 1, ProductID: 1, Quantity: cart.MaxQuantity}, nil},
		{cart.SetQuantity{CartID: 1, ProductID: 1, Quantity: cart.MaxQuantity + 1}, []string{"quantity"}},
		{cart.SetQuantity{CartID: 1, ProductID: math.MinInt64, Quantity: 1}, nil},
		{cart.SetQuantity{CartID: -1, ProductID: -1}, []string{"cart_id"}},
		{cart.RemoveItem{CartID: 1, ProductID: 1}, nil},
		{cart.RemoveItem{CartID: 1}, nil},
		{cart.RemoveItem{}, []string{"cart_id"}},
		{cart.SetStatus{CartID: 1, Status: cart.Active}, nil},
		{cart.SetStatus{CartID: 1, Status: cart.Cancelled}, nil},
		{cart.SetStatus{CartID: 1, Status: 0}, []string{"status"}},
		{cart.SetStatus{CartID: 0, Status: 5}, []string{"cart_id", "status"}},
		{cart.SetStatus{CartID: 1, Status: -1}, []string{"status"}},
	} {
		t.Run(fmt.Sprintf("%#v", test.cmd), func(t *testing.T) { wantFields(t, test.cmd.Validate(), test.fields...) })
	}
}

func TestCheckIDs(t *testing.T) {
	t.Parallel()
	ids := make([]int64, 3*cart.MaxIDs)
	for i := range ids {
		ids[i] = int64(i%cart.MaxIDs + 1)
	}
	wantFields(t, cart.CheckIDs(nil))
	wantFields(t, cart.CheckIDs(ids))
	wantFields(t, cart.CheckIDs(append(ids, 0)), "ids")
	wantFields(t, cart.CheckIDs(append(ids, cart.MaxIDs+1)), "ids")
	wantFields(t, cart.CheckIDs([]int64{1, -1}), "ids")
}

func TestValidateItem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*cart.Item)
		fields []string
	}{
		{"as it is", func(*cart.Item) {}, nil},
		{"free", func(i *cart.Item) { i.Price = 0 }, nil},
		{"dearest", func(i *cart.Item) { i.Price = cart.MaxPrice }, nil},
		{"too dear", func(i *cart.Item) { i.Price = cart.MaxPrice + 1 }, []string{"price"}},
		{"below 0", func(i *cart.Item) { i.Price = -1 }, []string{"price"}},
		{"most", func(i *cart.Item) { i.Quantity = cart.MaxQuantity }, nil},
		{"too many", func(i *cart.Item) { i.Quantity = cart.MaxQuantity + 1 }, []string{"quantity"}},
		{"none", func(i *cart.Item) { i.Quantity = 0 }, []string{"quantity"}},
		{"no name", func(i *cart.Item) { i.Name = "" }, []string{"name"}},
		{"longest name", func(i *cart.Item) { i.Name = strings.Repeat("𝒳", 255) }, nil},
		{"name too long", func(i *cart.Item) { i.Name = strings.Repeat("x", 256) }, []string{"name"}},
		{"name with NUL", func(i *cart.Item) { i.Name = "a\x00b" }, []string{"name"}},
		{"name not UTF-8", func(i *cart.Item) { i.Name = "a\xffb" }, []string{"name"}},
		{"no product", func(i *cart.Item) { i.ProductID = 0 }, []string{"product_id"}},
		{"negative product", func(i *cart.Item) { i.ProductID = -1 }, []string{"product_id"}},
	} {
		i := line(1, 1)
		test.change(&i)
		t.Run(test.name, func(t *testing.T) { wantFields(t, cart.PutItem{CartID: 1, Item: i}.Validate(), test.fields...) })
	}
}

func TestValidateListing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listing cart.Listing
		fields  []string
	}{
		{cart.Listing{UserID: 1, Limit: 1}, nil},
		{cart.Listing{UserID: 1, CompanyID: 1, Status: cart.Cancelled, Limit: cart.MaxCartsAsked, Offset: math.MaxInt32}, nil},
		{cart.Listing{}, []string{"user_id", "limit"}},
		{cart.Listing{UserID: 1, Limit: cart.MaxCartsAsked + 1}, []string{"limit"}},
		{cart.Listing{UserID: 1, Limit: 1, Offset: math.MaxInt32 + 1}, []string{"offset"}},
		{cart.Listing{UserID: -1, CompanyID: -1, Status: -1, Limit: -1, Offset: -1}, []string{"user_id", "company_id", "status", "limit", "offset"}},
		{cart.Listing{UserID: 1, Status: 5, Limit: 1}, []string{"status"}},
	} {
		t.Run(fmt.Sprintf("%+v", test.listing), func(t *testing.T) { wantFields(t, test.listing.Validate(), test.fields...) })
	}
}

func TestValidCookie(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		// RFC 6265: US-ASCII without controls, whitespace, double quote, comma, semicolon and backslash.
		want := c > ' ' && c < 0x7f && !strings.ContainsRune(`",;\`, rune(c))
		for _, s := range []string{string([]byte{byte(c)}), "ab" + string([]byte{byte(c)}) + "cd"} {
			if got := cart.ValidCookie(s); got != want {
				t.Errorf("ValidCookie(%q) = %v", s, got)
			}
		}
	}
	for s, want := range map[string]bool{
		"": false, strings.Repeat("x", 255): true, strings.Repeat("x", 256): false, "é": false,
	} {
		if got := cart.ValidCookie(s); got != want {
			t.Errorf("ValidCookie(%.10q…) = %v", s, got)
		}
	}
}

// FuzzValidCookie compares with net/http: a cookie is valid if it goes out as it is, has no quotes around it, and comes
// back the same.
func FuzzValidCookie(f *testing.F) {
	for _, s := range []string{"", "guest", "a b", "a,b", `"a"`, `a"b`, `a\b`, "a;b", "a=b", "é", "\x7f", "a\x00", strings.Repeat("x", 256)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sent := (&http.Cookie{Name: "c", Value: s}).String()
		want := s != "" && len(s) <= cart.MaxCookie && sent == "c="+s && s[0] != '"'
		if got := cart.ValidCookie(s); got != want {
			t.Fatalf("ValidCookie(%q) = %v; net/http sends %q", s, got, sent)
		}
		r := &http.Request{Header: http.Header{"Cookie": {"a=1; c=" + s + "; b=2"}}}
		if came, err := r.Cookie("c"); want && (err != nil || came.Value != s) {
			t.Errorf("%q comes back as %+v, %v", s, came, err)
		}
	})
}

func TestOwner(t *testing.T) {
	t.Parallel()
	nobody := cart.Owner{}
	for _, test := range []struct{ got, want cart.Owner }{
		{cart.User(7), cart.Owner{UserID: 7}},
		{cart.User(0), nobody},
		{cart.User(-7), nobody},
		{cart.Guest("g"), cart.Owner{Cookie: "g"}},
		{cart.Guest(""), nobody},
		{(&cart.Cart{UserID: ptr[int64](7), Cookie: ptr("g")}).Owner(), cart.User(7)},
		{(&cart.Cart{Cookie: ptr("g")}).Owner(), cart.Guest("g")},
		{(&cart.Cart{Cookie: ptr("")}).Owner(), nobody},
		{(&cart.Cart{UserID: ptr[int64](0), Cookie: ptr("g")}).Owner(), cart.Guest("g")},
		{(&cart.Cart{UserID: ptr[int64](-1), Cookie: ptr("g")}).Owner(), cart.Guest("g")},
		{(&cart.Cart{UserID: ptr[int64](0)}).Owner(), nobody},
		{(&cart.Cart{}).Owner(), nobody},
	} {
		if test.got != test.want || test.got.IsNobody() != (test.want == nobody) {
			t.Errorf("owner %+v, want %+v", test.got, test.want)
		}
	}
	for owner, want := range map[cart.Owner]string{cart.User(7): "user 7", cart.Guest("secret"): "guest", nobody: "nobody"} {
		if got := owner.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{1: "ACTIVE", 2: "LOCKED", 3: "CHECKED_OUT", 4: "CANCELLED"} {
		if got, err := cart.ParseStatus(n); err != nil || int64(got) != n || got.String() != want {
			t.Errorf("status %d is %v, %v", n, got, err)
		}
	}
	for _, n := range []int64{0, 5, -1, 65537, math.MaxInt64, math.MinInt64} {
		_, err := cart.ParseStatus(n)
		wantFields(t, err, "status")
	}
	if got := cart.Status(9).String(); got != "9" {
		t.Errorf("an unknown status is %q", got)
	}
}
