package rpc

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

func TestMessage(t *testing.T) {
	want := &cartv1.Cart{
		Id: 11, CompanyId: 5, UserId: 7, Cookie: "c-1", Status: cartv1.CartStatus_LOCKED, Version: 3,
		CreatedAt: "2024-02-29T20:59:58.123456Z", UpdatedAt: "2024-02-29T21:59:58.000000Z",
		TotalAmount: "99999999990059.97",
		Items: []*cartv1.CartItem{
			{ProductId: 1, Name: "Tea, 茶", Price: "19.99", Quantity: 3},
			{ProductId: 2, Name: "Cup", Price: "99999999.99", Quantity: 1_000_000},
			{ProductId: 3, Name: "Gift", Price: "0.00", Quantity: 1},
		},
	}
	if diff := cmp.Diff(want, message(sample()), protocmp.Transform()); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
}

// TestMessageOfOldCart converts a cart that today's rules refuse. It is shown as it is.
func TestMessageOfOldCart(t *testing.T) {
	created := time.Date(2020, 1, 2, 3, 4, 5, 6000, time.UTC)
	c := &cart.Cart{
		ID: 1, CompanyID: -5, Status: 9, CreatedAt: created, UpdatedAt: created, Version: 1,
		Items: []cart.Item{{ProductID: -1, Name: "", Price: -50, Quantity: 1<<31 - 1}},
	}
	want := &cartv1.Cart{
		Id: 1, CompanyId: -5, Status: 9, Version: 1,
		CreatedAt: "2020-01-02T03:04:05.000006Z", UpdatedAt: "2020-01-02T03:04:05.000006Z",
		TotalAmount: "-1073741823.50",
		Items:       []*cartv1.CartItem{{ProductId: -1, Price: "-0.50", Quantity: 1<<31 - 1}},
	}
	if diff := cmp.Diff(want, message(c), protocmp.Transform()); diff != "" {
		t.Error("(-want +got):\n" + diff)
	}
}

func TestMessageOfEmptiedCart(t *testing.T) {
	m := message(&cart.Cart{ID: 1, CompanyID: 5, Status: cart.Active})
	if m.GetTotalAmount() != "0.00" || len(m.GetItems()) != 0 {
		t.Errorf("got %v", m)
	}
}

// TestLinesAllocations keeps long carts cheap: one allocation each for lines, pointers and prices.
func TestLinesAllocations(t *testing.T) {
	items := make([]cart.Item, cart.MaxLines)
	for i := range items {
		items[i] = cart.Item{ProductID: int64(i), Name: "Tea", Price: 1234_56, Quantity: 1}
	}
	if got := testing.AllocsPerRun(10, func() { lines(items) }); got > 3 {
		t.Errorf("%v allocations for %d lines, want at most 3", got, len(items))
	}
}

func BenchmarkMessage(b *testing.B) {
	c := sample()
	b.ReportAllocs()
	for b.Loop() {
		message(c)
	}
}
