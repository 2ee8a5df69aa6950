package cart

import "math/big"

// The limits of a basket.
const (
	MaxBasketBytes = 4 << 20 // of the carts on one page, roughly
	MaxCounted     = 1000    // carts that are counted and summed
)

// BasketQuery asks for an owner's carts at all companies.
type BasketQuery struct {
	Owner  Owner
	Status Status // ACTIVE or LOCKED
	Before int64  // only carts with smaller ids; 0: all
}

// Basket is an owner's carts with lines, of all companies.
type Basket struct {
	Owner Owner
	Carts []*Cart // newest id first, at most [MaxCartsAsked]
	More  bool    // there are more carts, with smaller ids
	Totals
}

// Totals are about all carts of a basket, on other pages too.
type Totals struct {
	Uncounted bool   // there are more than [MaxCounted] carts, and so no totals
	Count     int64  // carts
	Lines     int64  // lines of these carts
	Amount    string // as [Cart.Total]
}

// Validate checks each field by itself; its error is CodeInvalid and names all that are wrong.
func (q BasketQuery) Validate() error {
	return Invalid(
		q.Owner.validate(),
		check("basket_status", q.Status == Active || q.Status == Locked),
		check("before", q.Before >= 0),
	)
}

// BasketOf returns the basket of these carts, which are all of one owner.
func BasketOf(carts []*Cart) *Basket {
	b := &Basket{Carts: carts, Totals: Totals{Count: int64(len(carts))}}
	sum := new(big.Int)
	nan := false
	for _, c := range carts {
		b.Owner = c.Owner()
		b.Lines += int64(len(c.Items))
		cents, ok := bigTotal(c.Items)
		nan = nan || !ok
		sum.Add(sum, cents)
	}
	b.Amount = FormatCents(sum)
	if nan {
		b.Amount = NaN.String()
	}
	return b
}

// Trim shortens the page to at most [MaxCartsAsked] carts and about [MaxBasketBytes] bytes, but never to none.
func (b *Basket) Trim() {
	size := 0
	for i, c := range b.Carts {
		size += c.Size()
		if i > 0 && (i == MaxCartsAsked || size > MaxBasketBytes) {
			b.Carts, b.More = b.Carts[:i], true
			return
		}
	}
}

// Size returns about how many bytes the cart takes in memory and in an answer.
func (c *Cart) Size() int {
	const header, line = 512, 96
	size := header + len(c.Attributes)
	for i := range c.Items {
		size += line + len(c.Items[i].Name) + len(c.Items[i].Attributes)
	}
	return size
}
