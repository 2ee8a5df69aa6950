package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// stock is the number of carts, of five lines each, that a store is measured with.
const stock = 2000

// Benchmark measures Load and Save with batches of 1, 8 and 64 carts. A Save changes one line of each.
func Benchmark(b *testing.B, s cart.Store) {
	ids := fill(b, s)
	for _, size := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("load/batch=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				load(b, s, pick(ids, size)...)
			}
			perCart(b, size)
		})
	}
	for _, size := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("save/batch=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			current := make(map[cart.Ref]*cart.Cart, len(ids))
			for i, c := range load(b, s, ids...) {
				current[ids[i]] = c
			}
			for quantity := int64(2); b.Loop(); quantity++ {
				changes := make([]cart.Change, size)
				for i, ref := range pick(ids, size) {
					before := current[ref]
					after, err := cart.SetQuantity{
						CartID: ref.ID, ProductID: rand.Int64N(5) + 1, Quantity: quantity%cart.MaxQuantity + 1,
					}.Apply(before)
					if err != nil {
						b.Fatal(err)
					}
					changes[i] = cart.Diff(before, after)
					current[ref] = after
				}
				for _, saved := range save(b, s, changes...) {
					if !saved.OK {
						b.Fatal("a change was not made")
					}
				}
			}
			perCart(b, size)
		})
	}
}

// perCart reports the time for one cart of the batch.
func perCart(b *testing.B, size int) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/cart")
}

// pick returns n different refs, from a random place on.
func pick(ids []cart.Ref, n int) []cart.Ref {
	at := rand.IntN(len(ids) - n + 1)
	return ids[at : at+n]
}

// fill creates the stock and returns refs to its carts.
func fill(b *testing.B, s cart.Store) []cart.Ref {
	b.Helper()
	var ids []cart.Ref
	for len(ids) < stock {
		changes := make([]cart.Change, 100)
		for i := range changes {
			changes[i] = cart.Diff(nil, fresh(1, cart.User(int64(len(ids)+i+1)), items(5)...))
		}
		for _, saved := range save(b, s, changes...) {
			ids = append(ids, cart.ByID(saved.ID))
		}
	}
	return ids
}
