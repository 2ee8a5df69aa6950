package rpc

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// TestContract compares the service with the contract that deployed clients were compiled with. Lines may be
// added here, but never changed.
func TestContract(t *testing.T) {
	want := map[string][]string{
		"service sellio.cart.v1.CartService": {
			"UpsertCart(UpsertCartRequest) CartResponse",
			"AddItem(AddItemRequest) CartResponse",
			"UpsertItem(UpsertItemRequest) CartResponse",
			"UpdateQty(UpdateQtyRequest) CartResponse",
			"RemoveItem(RemoveItemRequest) CartResponse",
			"ChangeStatus(ChangeStatusRequest) CartResponse",
			"GetCart(GetCartRequest) CartResponse",
			"GetActiveCart(GetActiveCartRequest) CartResponse",
			"ListByUser(ListByUserRequest) CartList",
			"ListByIds(ListByIdsRequest) CartList",
		},
		"enum CartStatus": {"0 CART_STATUS_UNSPECIFIED", "1 ACTIVE", "2 LOCKED", "3 CHECKED_OUT", "4 CANCELLED"},
		"message CartItem": {
			"1 product_id int64", "2 name string", "3 price string", "4 quantity int32",
		},
		"message Cart": {
			"1 id int64", "2 company_id int64", "3 user_id int64", "4 cookie string", "5 status CartStatus",
			"6 created_at string", "7 items repeated CartItem", "8 total_amount string",
			"9 version int64", "10 updated_at string",
		},
		"message CartResponse":      {"1 cart Cart"},
		"message CartList":          {"1 carts repeated Cart"},
		"message UpsertCartRequest": {"1 company_id int64", "2 user_id int64", "3 cookie string"},
		"message AddItemRequest": {
			"1 company_id int64", "2 user_id int64", "3 cookie string",
			"4 product_id int64", "5 name string", "6 price string", "7 quantity int32",
		},
		"message UpsertItemRequest": {
			"1 cart_id int64", "2 product_id int64", "3 name string", "4 price string", "5 quantity int32",
		},
		"message UpdateQtyRequest":     {"1 cart_id int64", "2 product_id int64", "3 quantity int32"},
		"message RemoveItemRequest":    {"1 cart_id int64", "2 product_id int64"},
		"message ChangeStatusRequest":  {"1 cart_id int64", "2 status CartStatus"},
		"message GetCartRequest":       {"1 cart_id int64"},
		"message GetActiveCartRequest": {"1 company_id int64", "2 user_id int64", "3 cookie string"},
		"message ListByUserRequest": {
			"1 user_id int64", "2 company_id int64", "3 status CartStatus", "4 limit int32", "5 offset int32",
		},
		"message ListByIdsRequest": {"1 ids repeated int64"},
	}
	if diff := cmp.Diff(want, describe(cartv1.File_sellio_cart_v1_cart_proto)); diff != "" {
		t.Error("the service is not what clients were built for (-want +got):\n" + diff)
	}
}

// describe lists everything in the file that affects the wire format.
func describe(file protoreflect.FileDescriptor) map[string][]string {
	all := map[string][]string{}
	for i := range file.Services().Len() {
		s := file.Services().Get(i)
		key := "service " + string(s.FullName())
		for j := range s.Methods().Len() {
			m := s.Methods().Get(j)
			line := fmt.Sprintf("%s(%s) %s", m.Name(), m.Input().Name(), m.Output().Name())
			if m.IsStreamingClient() || m.IsStreamingServer() {
				line += " streaming"
			}
			all[key] = append(all[key], line)
		}
	}
	for i := range file.Enums().Len() {
		e := file.Enums().Get(i)
		key := "enum " + string(e.Name())
		for j := range e.Values().Len() {
			v := e.Values().Get(j)
			all[key] = append(all[key], fmt.Sprintf("%d %s", v.Number(), v.Name()))
		}
	}
	for i := range file.Messages().Len() {
		m := file.Messages().Get(i)
		key := "message " + string(m.Name())
		for j := range m.Fields().Len() {
			f := m.Fields().Get(j)
			all[key] = append(all[key], fmt.Sprintf("%d %s %s", f.Number(), f.Name(), kind(f)))
		}
	}
	return all
}

func kind(f protoreflect.FieldDescriptor) string {
	name := f.Kind().String()
	if m := f.Message(); m != nil {
		name = string(m.Name())
	} else if e := f.Enum(); e != nil {
		name = string(e.Name())
	}
	switch {
	case f.Cardinality() == protoreflect.Repeated:
		return "repeated " + name
	case f.HasOptionalKeyword():
		return "optional " + name
	default:
		return name
	}
}
