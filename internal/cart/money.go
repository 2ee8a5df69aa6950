package cart

import (
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// Money is an amount in minor units (cents). Negative amounts occur in carts of the Python service.
type Money int64

// MaxPrice is the highest price of one piece, 99999999.99: what numeric(10,2) holds.
const MaxPrice Money = 99_999_999_99

// NaN is the price of a line that the Python service stored as PostgreSQL's numeric NaN. Nothing can be computed with it.
const NaN Money = math.MinInt64

// ParsePrice reads a price: digits, and at most two more after a point; 0 to [MaxPrice]. Signs, spaces,
// exponents and digits of other scripts are refused. An error is about the field "price".
func ParsePrice(s string) (Money, error) {
	whole, decimals := 0, -1 // digits before the point, and after it (-1: no point yet)
	var m Money
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '.' && decimals < 0 && whole > 0:
			decimals = 0
			continue
		case c < '0' || c > '9':
			return 0, InvalidField("price")
		case decimals >= 0:
			decimals++
		default:
			whole++
		}
		if whole > 8 || decimals > 2 {
			return 0, InvalidField("price")
		}
		m = m*10 + Money(c-'0')
	}
	switch {
	case whole == 0 || decimals == 0:
		return 0, InvalidField("price")
	case decimals < 0:
		m *= 100
	case decimals == 1:
		m *= 10
	}
	return m, nil
}

// String prints the amount as a decimal with two digits, and [NaN] as "NaN".
func (m Money) String() string {
	return string(m.Append(make([]byte, 0, 24)))
}

// Append appends what String returns to b.
func (m Money) Append(b []byte) []byte {
	if m == NaN {
		return append(b, "NaN"...)
	}
	abs := uint64(m)
	if m < 0 {
		b = append(b, '-')
		abs = -abs
	}
	b = strconv.AppendUint(b, abs/100, 10)
	return append(b, '.', byte('0'+abs%100/10), byte('0'+abs%10))
}

// total sums the lines. Within today's limits the sum fits 63 bits; carts of the Python service may
// hold more lines and larger quantities, so a sum that does not fit is computed again with big integers.
func total(items []Item) string {
	var sum uint64
	for _, i := range items {
		hi, line := bits.Mul64(uint64(i.Price), uint64(i.Quantity))
		next, carry := bits.Add64(sum, line, 0)
		if i.Price < 0 || i.Quantity < 0 || hi|carry != 0 || next > 1<<63-1 {
			sum, ok := bigTotal(items)
			if !ok {
				return NaN.String()
			}
			return FormatCents(sum)
		}
		sum = next
	}
	return Money(sum).String()
}

// bigTotal returns the sum of the lines in minor units, and false where the price of a line is NaN.
func bigTotal(items []Item) (sum *big.Int, ok bool) {
	sum = new(big.Int)
	for _, i := range items {
		if i.unpriced() {
			return sum, false
		}
		sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(i.Price)), big.NewInt(i.Quantity)))
	}
	return sum, true
}

// FormatCents prints a sum in minor units as a decimal with two digits.
func FormatCents(sum *big.Int) string {
	sign := ""
	if sum.Sign() < 0 {
		sign = "-"
	}
	whole, cents := new(big.Int).QuoRem(new(big.Int).Abs(sum), big.NewInt(100), new(big.Int))
	c := cents.Int64()
	return sign + whole.String() + "." + string([]byte{byte('0' + c/10), byte('0' + c%10)})
}
