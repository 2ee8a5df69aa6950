package rpc

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

// call sends the request by the method for its type. The error is the call's.
func call(ctx context.Context, c cartv1.CartServiceClient, req any) (any, error) {
	switch req := req.(type) {
	case *cartv1.UpsertCartRequest:
		return c.UpsertCart(ctx, req)
	case *cartv1.AddItemRequest:
		return c.AddItem(ctx, req)
	case *cartv1.UpsertItemRequest:
		return c.UpsertItem(ctx, req)
	case *cartv1.UpdateQtyRequest:
		return c.UpdateQty(ctx, req)
	case *cartv1.RemoveItemRequest:
		return c.RemoveItem(ctx, req)
	case *cartv1.ChangeStatusRequest:
		return c.ChangeStatus(ctx, req)
	case *cartv1.GetCartRequest:
		return c.GetCart(ctx, req)
	case *cartv1.GetActiveCartRequest:
		return c.GetActiveCart(ctx, req)
	case *cartv1.ListByUserRequest:
		return c.ListByUser(ctx, req)
	case *cartv1.ListByIdsRequest:
		return c.ListByIds(ctx, req)
	default:
		panic("no method takes such a request")
	}
}

// manyIDs returns n ids, each twice.
func manyIDs(n int64) (ids []int64) {
	for id := range n {
		ids = append(ids, id+1, id+1)
	}
	return ids
}

func TestRequests(t *testing.T) {
	t.Parallel()
	tea := cart.Item{ProductID: 3, Name: "Tea", Price: 1_50, Quantity: 2}
	tests := map[string]struct {
		req  any
		want any
	}{
		"upsert for a user": {
			&cartv1.UpsertCartRequest{CompanyId: 5, UserId: 7},
			cart.Upsert{CompanyID: 5, Owner: cart.User(7)},
		},
		"upsert for a guest": {
			&cartv1.UpsertCartRequest{CompanyId: 5, Cookie: "c"},
			cart.Upsert{CompanyID: 5, Owner: cart.Guest("c")},
		},
		"the user wins": {
			&cartv1.UpsertCartRequest{CompanyId: 5, UserId: 7, Cookie: "c"},
			cart.Upsert{CompanyID: 5, Owner: cart.User(7)},
		},
		"add item": {
			&cartv1.AddItemRequest{CompanyId: 5, UserId: 7, ProductId: 3, Name: "Tea", Price: "1.5", Quantity: 2},
			cart.AddItem{CompanyID: 5, Owner: cart.User(7), Item: tea},
		},
		"upsert item": {
			&cartv1.UpsertItemRequest{CartId: 9, ProductId: 3, Name: "Tea", Price: "1.50", Quantity: 2},
			cart.PutItem{CartID: 9, Item: tea},
		},
		"quantity": {
			&cartv1.UpdateQtyRequest{CartId: 9, ProductId: 3, Quantity: 4},
			cart.SetQuantity{CartID: 9, ProductID: 3, Quantity: 4},
		},
		"quantity below zero": {
			&cartv1.UpdateQtyRequest{CartId: 9, ProductId: 3, Quantity: math.MinInt32},
			cart.SetQuantity{CartID: 9, ProductID: 3, Quantity: math.MinInt32},
		},
		"remove": {
			&cartv1.RemoveItemRequest{CartId: 9, ProductId: 3},
			cart.RemoveItem{CartID: 9, ProductID: 3},
		},
		"a product of any number": {
			&cartv1.UpdateQtyRequest{CartId: 9, ProductId: -3, Quantity: 4},
			cart.SetQuantity{CartID: 9, ProductID: -3, Quantity: 4},
		},
		"remove a product of any number": {&cartv1.RemoveItemRequest{CartId: 9}, cart.RemoveItem{CartID: 9}},
		"status": {
			&cartv1.ChangeStatusRequest{CartId: 9, Status: cartv1.CartStatus_CHECKED_OUT},
			cart.SetStatus{CartID: 9, Status: cart.CheckedOut},
		},
		"get": {&cartv1.GetCartRequest{CartId: 9}, cart.ByID(9)},
		"get active of a user": {
			&cartv1.GetActiveCartRequest{CompanyId: 5, UserId: 7, Cookie: "c"},
			cart.ActiveOf(5, cart.User(7)),
		},
		"get active of a guest": {
			&cartv1.GetActiveCartRequest{CompanyId: 5, Cookie: "c"},
			cart.ActiveOf(5, cart.Guest("c")),
		},
		"list with defaults": {
			&cartv1.ListByUserRequest{UserId: 7},
			cart.Listing{UserID: 7, Limit: 50},
		},
		"list with everything": {
			&cartv1.ListByUserRequest{UserId: 7, CompanyId: 5, Status: cartv1.CartStatus_CANCELLED, Limit: 200, Offset: math.MaxInt32},
			cart.Listing{UserID: 7, CompanyID: 5, Status: cart.Cancelled, Limit: 200, Offset: math.MaxInt32},
		},
		"by ids": {
			&cartv1.ListByIdsRequest{Ids: []int64{3, 1, 3, math.MaxInt64}},
			[]int64{3, 1, 3, math.MaxInt64},
		},
		"as many ids as may be": {
			&cartv1.ListByIdsRequest{Ids: manyIDs(cart.MaxIDs)},
			manyIDs(cart.MaxIDs),
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := always(sample())
			resp, err := call(t.Context(), client(t, f, Options{}), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{tt.want}, f.asked); diff != "" {
				t.Error("asked of the service (-want +got):\n" + diff)
			}
			var want any = &cartv1.CartResponse{Cart: message(sample())}
			if _, ok := resp.(*cartv1.CartList); ok {
				want = &cartv1.CartList{Carts: []*cartv1.Cart{message(sample())}}
			}
			if diff := cmp.Diff(want, resp, protocmp.Transform()); diff != "" {
				t.Error("response (-want +got):\n" + diff)
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("c", 256)
	tests := map[string]struct {
		req    any
		fields []string
	}{
		"no owner":              {&cartv1.UpsertCartRequest{CompanyId: 5}, []string{"owner"}},
		"no company":            {&cartv1.UpsertCartRequest{UserId: 7}, []string{"company_id"}},
		"negative user":         {&cartv1.UpsertCartRequest{CompanyId: 5, UserId: -7}, []string{"user_id"}},
		"negative user, cookie": {&cartv1.UpsertCartRequest{CompanyId: 5, UserId: -7, Cookie: "c"}, []string{"user_id"}},
		"cookie too long":       {&cartv1.UpsertCartRequest{CompanyId: 5, Cookie: long}, []string{"cookie"}},
		"bad cookie of a user":  {&cartv1.UpsertCartRequest{CompanyId: 5, UserId: 7, Cookie: "a b"}, []string{"cookie"}},
		"everything": {
			&cartv1.AddItemRequest{UserId: -7, Cookie: "a;b", CompanyId: -5, Price: "1e3", Quantity: -1},
			[]string{"company_id", "cookie", "name", "price", "product_id", "quantity", "user_id"},
		},
		"price":    {&cartv1.UpsertItemRequest{CartId: 9, ProductId: 3, Name: "Tea", Price: "1.999", Quantity: 1}, []string{"price"}},
		"no price": {&cartv1.UpsertItemRequest{CartId: 9, ProductId: 3, Name: "Tea", Quantity: 1}, []string{"price"}},
		"quantity 0": {
			&cartv1.UpsertItemRequest{CartId: 9, ProductId: 3, Name: "Tea", Price: "1"},
			[]string{"quantity"},
		},
		"quantity too high": {&cartv1.UpdateQtyRequest{CartId: 9, ProductId: 3, Quantity: 1_000_001}, []string{"quantity"}},
		"remove nothing":    {&cartv1.RemoveItemRequest{}, []string{"cart_id"}},
		"no status":         {&cartv1.ChangeStatusRequest{CartId: 9}, []string{"status"}},
		"unknown status":    {&cartv1.ChangeStatusRequest{CartId: 9, Status: 5}, []string{"status"}},
		"status that wraps": {&cartv1.ChangeStatusRequest{CartId: 9, Status: 1<<16 + 1}, []string{"status"}},
		"get nothing":       {&cartv1.GetCartRequest{}, []string{"cart_id"}},
		"get negative":      {&cartv1.GetCartRequest{CartId: math.MinInt64}, []string{"cart_id"}},
		"active of nobody":  {&cartv1.GetActiveCartRequest{CompanyId: 5}, []string{"owner"}},
		"active, all bad":   {&cartv1.GetActiveCartRequest{UserId: -1, Cookie: "ü"}, []string{"company_id", "cookie", "user_id"}},
		"list, all bad": {
			&cartv1.ListByUserRequest{CompanyId: -1, Status: -1, Limit: -1, Offset: -1},
			[]string{"company_id", "limit", "offset", "status", "user_id"},
		},
		"limit too high":      {&cartv1.ListByUserRequest{UserId: 7, Limit: 201}, []string{"limit"}},
		"list, unknown":       {&cartv1.ListByUserRequest{UserId: 7, Status: 5}, []string{"status"}},
		"list, status wraps":  {&cartv1.ListByUserRequest{UserId: 7, Status: 1 << 16}, []string{"status"}},
		"too many ids":        {&cartv1.ListByIdsRequest{Ids: manyIDs(cart.MaxIDs + 1)}, []string{"ids"}},
		"an id that is none":  {&cartv1.ListByIdsRequest{Ids: []int64{1, 0}}, []string{"ids"}},
		"an id below nothing": {&cartv1.ListByIdsRequest{Ids: []int64{-1, 1}}, []string{"ids"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := always(sample())
			_, err := call(t.Context(), client(t, f, Options{}), tt.req)
			if got := status.Code(err); got != codes.InvalidArgument {
				t.Fatalf("got %v (%v), want InvalidArgument", got, err)
			}
			if diff := cmp.Diff(tt.fields, violations(t, err)); diff != "" {
				t.Error("fields at fault (-want +got):\n" + diff)
			}
			if len(f.asked) > 0 {
				t.Errorf("the service was asked for %v", f.asked)
			}
		})
	}
}

// violations returns the fields that the error's details name, sorted.
func violations(t *testing.T, err error) []string {
	t.Helper()
	var fields []string
	for _, d := range status.Convert(err).Details() {
		bad, ok := d.(*errdetails.BadRequest)
		if !ok {
			t.Fatalf("unexpected detail %T", d)
		}
		for _, v := range bad.GetFieldViolations() {
			if v.GetDescription() == "" {
				t.Errorf("nothing is said about %s", v.GetField())
			}
			fields = append(fields, v.GetField())
		}
	}
	slices.Sort(fields)
	return fields
}
