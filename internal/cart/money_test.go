package cart_test

import (
	"math"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sellio/sellio-cart/internal/cart"
)

func TestParsePrice(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]cart.Money{
		"0": 0, "0.0": 0, "0.00": 0, "00": 0, "0.01": 1, "0.1": 10, "1": 100, "1.5": 150, "12.34": 1234, "007.50": 750,
		"99999999": 99999999_00, "99999999.9": 99999999_90, "99999999.99": cart.MaxPrice, "00000001.00": 100,
	} {
		if got, err := cart.ParsePrice(in); err != nil || got != want {
			t.Errorf("ParsePrice(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", ".5", "5.", "1.234", "0.000", "100000000", "99999999.999", "000000000", "-1", "-0", "+1", " 1", "1 ", "1\n",
		"1,50", "1.2.3", "1..2", "1e2", "1E2", "0x1", "1_000", "1'000", "NaN", "Inf", "१२", "１", "½", "1\x00", "\xff", "£1", "1€",
		strings.Repeat("9", 100_000), "0." + strings.Repeat("0", 100_000),
	} {
		if got, err := cart.ParsePrice(in); err == nil {
			t.Errorf("ParsePrice(%.20q) = %d, want an error", in, got)
		} else {
			wantFields(t, err, "price")
		}
	}
}

func TestPriceRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := cart.Money(rapid.Int64Range(0, int64(cart.MaxPrice)).Draw(t, "price"))
		if got, err := cart.ParsePrice(want.String()); err != nil || got != want {
			t.Fatalf("%d is printed as %s and read as %d, %v", int64(want), want, int64(got), err)
		}
	})
}

// grammar describes the prices that ParsePrice takes, independently of its code.
var grammar = regexp.MustCompile(`^[0-9]{1,8}(?:\.[0-9]{1,2})?$`)

// FuzzParsePrice compares what ParsePrice accepts, and refuses, with a regular expression and exact fractions.
func FuzzParsePrice(f *testing.F) {
	for _, in := range []string{"0", "12.34", "007.5", "99999999.99", "100000000", ".5", "5.", "1e2", "-1", "+1", "1/2", " 1", "1\n", "１"} {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := cart.ParsePrice(in)
		if grammar.MatchString(in) != (err == nil) {
			t.Fatalf("ParsePrice(%q) = %d, %v", in, got, err)
		}
		if err != nil {
			wantFields(t, err, "price")
			return
		}
		exact, ok := new(big.Rat).SetString(in)
		if !ok || exact.Cmp(big.NewRat(int64(got), 100)) != 0 || got < 0 || got > cart.MaxPrice {
			t.Errorf("ParsePrice(%q) = %d, but it is %v", in, got, exact)
		}
		if printed := got.String(); printed != exact.FloatString(2) {
			t.Errorf("%q is printed as %s", in, printed)
		} else if again, err := cart.ParsePrice(printed); err != nil || again != got {
			t.Errorf("%q is printed as %s, and read as %d, %v", in, printed, again, err)
		}
	})
}

// FuzzTotal compares the total of two lines with the sum in big integers.
func FuzzTotal(f *testing.F) {
	for _, n := range []int64{0, 1, -1, 9_999_999_999, 1_000_000, math.MaxInt64, math.MinInt64} {
		f.Add(n, int64(1), n, int64(1))
		f.Add(n, n, int64(1), int64(1))
	}
	f.Fuzz(func(t *testing.T, price, quantity, price2, quantity2 int64) {
		product := func(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }
		sum := product(price, quantity)
		sum.Add(sum, product(price2, quantity2))
		c := &cart.Cart{Items: []cart.Item{
			{Price: cart.Money(price), Quantity: quantity}, {Price: cart.Money(price2), Quantity: quantity2},
		}}
		want := new(big.Rat).SetFrac(sum, big.NewInt(100)).FloatString(2)
		if cart.Money(price) == cart.NaN || cart.Money(price2) == cart.NaN {
			want = "NaN"
		}
		if c.Total() != want {
			t.Errorf("%d × %d + %d × %d is %s, want %s", price, quantity, price2, quantity2, c.Total(), want)
		}
	})
}

func TestMoneyString(t *testing.T) {
	t.Parallel()
	for m, want := range map[cart.Money]string{
		0: "0.00", 1: "0.01", 10: "0.10", 99: "0.99", 100: "1.00", 123456: "1234.56", cart.MaxPrice: "99999999.99",
		-1: "-0.01", -10: "-0.10", -100: "-1.00", -1999: "-19.99",
		math.MaxInt64: "92233720368547758.07", math.MinInt64 + 1: "-92233720368547758.07",
		cart.NaN: "NaN",
	} {
		if got := m.String(); got != want {
			t.Errorf("Money(%d) is %s, want %s", int64(m), got, want)
		}
		if got := string(m.Append([]byte("x"))); got != "x"+want {
			t.Errorf("Money(%d) is appended as %s", int64(m), got)
		}
	}
}

func TestTotal(t *testing.T) {
	t.Parallel()
	full := make([]cart.Item, cart.MaxLines)
	for i := range full {
		full[i] = cart.Item{Price: cart.MaxPrice, Quantity: cart.MaxQuantity}
	}
	for name, c := range map[string]struct {
		items []cart.Item
		want  string
	}{
		"empty":               {nil, "0.00"},
		"one":                 {[]cart.Item{{Price: 250, Quantity: 3}}, "7.50"},
		"free":                {[]cart.Item{{Price: 0, Quantity: 3}}, "0.00"},
		"the dearest allowed": {full, "49999999995000000.00"},
		"negative":            {[]cart.Item{{Price: -1, Quantity: 1}}, "-0.01"},
		"to nothing":          {[]cart.Item{{Price: -250, Quantity: 2}, {Price: 500, Quantity: 1}}, "0.00"},
		"the last that fits":  {[]cart.Item{{Price: math.MaxInt64, Quantity: 1}}, "92233720368547758.07"},
		"one more":            {[]cart.Item{{Price: math.MaxInt64, Quantity: 1}, {Price: 1, Quantity: 1}}, "92233720368547758.08"},
		"NaN":                 {[]cart.Item{{Price: 250, Quantity: 3}, {Price: cart.NaN, Quantity: 1}}, "NaN"},
		"NaN, beyond 64 bits": {[]cart.Item{{Price: math.MaxInt64, Quantity: math.MaxInt64}, {Price: cart.NaN, Quantity: 1}}, "NaN"},
		"beyond 64 bits":      {[]cart.Item{{Price: math.MaxInt64, Quantity: math.MaxInt64}}, "850705917302346158473969077842325012.49"},
	} {
		if got := (&cart.Cart{Items: c.items}).Total(); got != c.want {
			t.Errorf("%s: total %s, want %s", name, got, c.want)
		}
	}
}

func TestTotalIsExact(t *testing.T) {
	t.Parallel()
	// Ordinary amounts, and any at all but NaN.
	amount := rapid.OneOf(rapid.Int64Range(-1000, 1_000_000), rapid.Int64Min(math.MinInt64+1))
	rapid.Check(t, func(t *rapid.T) {
		sum := new(big.Int)
		c := &cart.Cart{}
		for range rapid.IntRange(0, 20).Draw(t, "lines") {
			i := cart.Item{Price: cart.Money(amount.Draw(t, "price")), Quantity: amount.Draw(t, "quantity")}
			c.Items = append(c.Items, i)
			sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(i.Price)), big.NewInt(i.Quantity)))
		}
		want := new(big.Rat).SetFrac(sum, big.NewInt(100)).FloatString(2)
		if got := c.Total(); got != want {
			t.Fatalf("total %s, want %s", got, want)
		}
	})
}
