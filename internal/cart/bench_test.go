package cart_test

import (
	"fmt"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// BenchmarkPutItem changes the last line of a cart and computes the change for the store.
func BenchmarkPutItem(b *testing.B) {
	for _, lines := range []int{5, cart.MaxLines} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			b.ReportAllocs()
			before := stocked(lines)
			item := before.Items[lines-1]
			item.Quantity = 3
			for b.Loop() {
				item.Quantity = 7 - item.Quantity // 3 and 4 in turn, never what the cart has
				after, err := cart.PutItem{CartID: before.ID, Item: item}.Apply(before)
				if err != nil {
					b.Fatal(err)
				}
				if ch := cart.Diff(before, after); len(ch.Put) != 1 {
					b.Fatalf("%d lines to write", len(ch.Put))
				}
			}
		})
	}
}

func BenchmarkTotal(b *testing.B) {
	for _, lines := range []int{5, cart.MaxLines} {
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			b.ReportAllocs()
			c := stocked(lines)
			for b.Loop() {
				c.Total()
			}
		})
	}
}

func BenchmarkParsePrice(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cart.ParsePrice("12345678.90"); err != nil {
			b.Fatal(err)
		}
	}
}

// stocked returns a cart with that many lines.
func stocked(lines int) *cart.Cart {
	c := &cart.Cart{ID: 1, CompanyID: 1, Status: cart.Active, Version: 1}
	for i := range lines {
		c.Items = append(c.Items, cart.Item{ProductID: int64(i + 1), Name: "Coffee", Price: 490, Quantity: 2})
	}
	return c
}
