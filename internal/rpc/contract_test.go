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
			"ChangeQty(ChangeQtyRequest) CartResponse",
			"ChangeItems(ChangeItemsRequest) CartResponse",
			"ChangeStatuses(ChangeStatusesRequest) Basket",
			"MergeCarts(MergeCartsRequest) MergeCartsResponse",
			"GetCart(GetCartRequest) CartResponse",
			"GetActiveCart(GetActiveCartRequest) CartResponse",
			"ListByUser(ListByUserRequest) CartList",
			"GetBasket(GetBasketRequest) Basket",
			"ListByIds(ListByIdsRequest) CartList",
		},
		"enum CartStatus": {"0 CART_STATUS_UNSPECIFIED", "1 ACTIVE", "2 LOCKED", "3 CHECKED_OUT", "4 CANCELLED"},
		"message CartItem": {
			"1 product_id int64", "2 name string", "3 price string", "4 quantity int32", "5 attributes repeated AttributesEntry",
		},
		"message Cart": {
			"1 id int64", "2 company_id int64", "3 user_id int64", "4 cookie string", "5 status CartStatus",
			"6 created_at string", "7 items repeated CartItem", "8 total_amount string",
			"9 version int64", "10 updated_at string",
			"11 attributes repeated AttributesEntry", "12 locked_until string", "13 reference string",
		},
		"message CartResponse": {"1 cart Cart", "2 replayed bool"},
		"message CartList":     {"1 carts repeated Cart"},
		"message UpsertCartRequest": {
			"1 company_id int64", "2 user_id int64", "3 cookie string", "4 idempotency_key string", "5 if_match string",
		},
		"message AddItemRequest": {
			"1 company_id int64", "2 user_id int64", "3 cookie string",
			"4 product_id int64", "5 name string", "6 price string", "7 quantity int32",
			"8 if_match string", "9 idempotency_key string", "10 if_present IfPresent", "11 attributes Attributes",
		},
		"message UpsertItemRequest": {
			"1 cart_id int64", "2 product_id int64", "3 name string", "4 price string", "5 quantity int32",
			"6 expected_version int64", "7 idempotency_key string", "8 if_present IfPresent", "9 attributes Attributes",
		},
		"message UpdateQtyRequest": {
			"1 cart_id int64", "2 product_id int64", "3 quantity int32", "4 expected_version int64", "5 idempotency_key string",
		},
		"message RemoveItemRequest": {
			"1 cart_id int64", "2 product_id int64", "3 expected_version int64", "4 idempotency_key string",
		},
		"message ChangeStatusRequest": {
			"1 cart_id int64", "2 status CartStatus", "3 expected_version int64", "4 idempotency_key string",
			"5 lock_seconds int32", "6 reference string", "7 if_active IfActive",
		},
		"message GetCartRequest":       {"1 cart_id int64"},
		"message GetActiveCartRequest": {"1 company_id int64", "2 user_id int64", "3 cookie string"},
		"message ListByUserRequest": {
			"1 user_id int64", "2 company_id int64", "3 status CartStatus", "4 limit int32", "5 offset int32",
		},
		"message ListByIdsRequest": {"1 ids repeated int64"},

		"message Attributes": {"1 values repeated ValuesEntry"},
		"enum IfPresent":     {"0 IF_PRESENT_UNSPECIFIED", "1 IF_PRESENT_REPLACE", "2 IF_PRESENT_ADD"},
		"enum IfActive":      {"0 IF_ACTIVE_UNSPECIFIED", "1 IF_ACTIVE_REFUSE", "2 IF_ACTIVE_MERGE"},
		"enum MergePolicy": {
			"0 MERGE_POLICY_UNSPECIFIED", "1 MERGE_POLICY_MAX", "2 MERGE_POLICY_SUM", "3 MERGE_POLICY_GUEST",
			"4 MERGE_POLICY_USER", "5 MERGE_POLICY_REPLACE", "6 MERGE_POLICY_KEEP",
		},
		"enum MergeResult": {
			"0 MERGE_RESULT_UNSPECIFIED", "1 MERGE_RESULT_MERGED", "2 MERGE_RESULT_MOVED", "3 MERGE_RESULT_FAILED",
		},
		"message ChangeQtyRequest": {
			"1 cart_id int64", "2 product_id int64", "3 by sint32", "4 expected_version int64", "5 idempotency_key string",
		},
		"message ChangeItemsRequest": {
			"1 cart_id int64", "2 company_id int64", "3 user_id int64", "4 cookie string", "5 changes repeated ItemChange",
			"6 attributes Attributes", "7 expected_version int64", "8 if_match string", "9 idempotency_key string",
		},
		"message ItemChange": {"1 put PutItem", "2 set SetQty", "3 change ChangeBy", "4 remove RemoveLine", "5 clear Clear"},
		"message PutItem": {
			"1 product_id int64", "2 name string", "3 price string", "4 quantity int32", "5 if_present IfPresent",
			"6 attributes Attributes",
		},
		"message SetQty":     {"1 product_id int64", "2 quantity int32"},
		"message ChangeBy":   {"1 product_id int64", "2 by sint32"},
		"message RemoveLine": {"1 product_id int64"},
		"message ChangeStatusesRequest": {
			"1 carts repeated CartVersion", "2 status CartStatus", "3 lock_seconds int32", "4 reference string",
			"5 if_active IfActive", "7 idempotency_key string",
		},
		"message CartVersion":      {"1 id int64", "2 version int64"},
		"message GetBasketRequest": {"1 user_id int64", "2 cookie string", "3 status CartStatus", "4 before int64"},
		"message Basket": {
			"1 user_id int64", "2 cookie string", "3 carts repeated Cart", "4 carts_count optional int64",
			"5 items_count optional int64", "6 total_amount optional string", "7 more bool", "8 replayed bool",
		},
		"message MergeCartsRequest":  {"1 user_id int64", "2 cookie string", "3 policy MergePolicy", "4 company_id int64"},
		"message MergeCartsResponse": {"1 merged repeated MergedCart", "2 basket Basket", "3 more bool"},
		"message MergedCart": {
			"1 company_id int64", "2 from int64", "3 into int64", "4 result MergeResult", "5 left repeated int64",
			"6 status CartStatus",
		},
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
