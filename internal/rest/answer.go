package rest

import (
	"strings"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// one converts a cart to an answer, and many a list of carts. Both pass errors through.
func one(c *cart.Cart, err error) (*oas.Cart, error) {
	if err != nil {
		return nil, err
	}
	answer := new(oas.Cart)
	fill(answer, c)
	return answer, nil
}

func many(carts []*cart.Cart, err error) (*oas.CartList, error) {
	if err != nil {
		return nil, err
	}
	answer := make(oas.CartList, len(carts))
	for i, c := range carts {
		fill(&answer[i], c)
	}
	return &answer, nil
}

func fill(answer *oas.Cart, c *cart.Cart) {
	*answer = oas.Cart{
		ID:          c.ID,
		CompanyID:   c.CompanyID,
		UserID:      oas.NilInt64{Null: c.UserID == nil},
		Cookie:      oas.NilString{Null: c.Cookie == nil},
		Status:      int32(c.Status),
		CreatedAt:   c.CreatedAt.UTC(),
		UpdatedAt:   c.UpdatedAt.UTC(),
		Version:     c.Version,
		Items:       items(c.Items),
		ItemsCount:  int64(len(c.Items)),
		TotalAmount: c.Total(),
	}
	if c.UserID != nil {
		answer.UserID.Value = *c.UserID
	}
	if c.Cookie != nil {
		answer.Cookie.Value = *c.Cookie
	}
	if c.Attributes != "" {
		answer.Attributes = oas.NewOptAttributes(c.Attributes.Map())
	}
	if c.Reference != "" {
		answer.Reference = oas.NewOptString(c.Reference)
	}
	if !c.LockedUntil.IsZero() {
		answer.LockedUntil = oas.NewOptDateTime(c.LockedUntil.UTC())
	}
}

func items(lines []cart.Item) []oas.Item {
	answer := make([]oas.Item, len(lines))
	const digits = len("99999999.99")
	// The prices of all lines share one allocation.
	var prices strings.Builder
	prices.Grow(digits * len(lines))
	var buf [24]byte
	for i, line := range lines {
		at := prices.Len()
		prices.Write(line.Price.Append(buf[:0]))
		answer[i] = oas.Item{
			ProductID: line.ProductID,
			Name:      line.Name,
			Price:     prices.String()[at:],
			Quantity:  line.Quantity,
		}
		if line.Attributes != "" {
			answer[i].Attributes = oas.NewOptAttributes(line.Attributes.Map())
		}
	}
	return answer
}
