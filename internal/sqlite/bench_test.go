package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// filled returns n changes that create carts of five lines, of the users from 1 on.
func filled(n int64) []cart.Change {
	changes := make([]cart.Change, n)
	for i := range changes {
		c := usersCart(1, int64(i)+1)
		for product := range int64(4) {
			line := c.Items[0]
			line.ProductID = product + 2
			c.Items = append(c.Items, line)
		}
		changes[i] = cart.Diff(nil, c)
	}
	return changes
}

func BenchmarkLoad(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "cart.db"))
	const carts = 10_000
	if _, err := s.Save(b.Context(), filled(carts)); err != nil {
		b.Fatal(err)
	}
	for _, size := range []int64{1, 64} {
		b.Run(fmt.Sprintf("carts=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			refs := make([]cart.Ref, size)
			next := int64(0)
			for b.Loop() {
				for i := range refs {
					next = (next + 7919) % carts
					refs[i] = cart.ByID(next + 1)
				}
				if _, err := s.Load(b.Context(), refs); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSave(b *testing.B) {
	for _, size := range []int64{1, 64} {
		b.Run(fmt.Sprintf("carts=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			s := open(b, filepath.Join(b.TempDir(), "cart.db"))
			changes := filled(size)
			saved, err := s.Save(b.Context(), changes)
			if err != nil {
				b.Fatal(err)
			}
			carts := make([]*cart.Cart, size)
			for i := range carts {
				carts[i] = changes[i].Cart
				carts[i].ID = saved[i].ID
			}
			for b.Loop() {
				for i, c := range carts {
					line := c.Items[2]
					line.Quantity = line.Quantity%9 + 1
					after, err := cart.PutItem{CartID: c.ID, Item: line}.Apply(c)
					if err != nil {
						b.Fatal(err)
					}
					changes[i], carts[i] = cart.Diff(c, after), after
				}
				if saved, err = s.Save(b.Context(), changes); err != nil || !saved[0].OK {
					b.Fatal(saved, err)
				}
			}
		})
	}
}
