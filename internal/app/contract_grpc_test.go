package app

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// TestGRPC is the gRPC half of the contract: each method of its table, and each of its rules.
func TestGRPC(t *testing.T) {
	t.Parallel()
	inShops(t, map[string]func(*shop){
		"both transports show the same": testBothTransports,
		"UpsertCart":                    testRPCUpsert,
		"AddItem":                       testRPCAddItem,
		"UpsertItem":                    testRPCUpsertItem,
		"UpdateQty":                     testRPCUpdateQty,
		"RemoveItem":                    testRPCRemoveItem,
		"ChangeStatus":                  testRPCTransitions,
		"ChangeStatus, another ACTIVE":  testRPCUnlockWithRival,
		"GetCart":                       testRPCGetCart,
		"GetActiveCart":                 testRPCGetActiveCart,
		"ListByUser":                    testRPCListByUser,
		"ListByIds":                     testRPCListByIDs,
		"repeating changes nothing":     testRPCRepeating,
		"unknown fields are ignored":    testRPCUnknownFields,
		"guests":                        testRPCGuests,
		"health":                        testHealth,
		"methods known from reflection": testReflection,
	})
}

// message is the cart as gRPC shows it.
func (c restCart) message() *cartv1.Cart {
	m := &cartv1.Cart{
		Id: c.ID, CompanyId: c.CompanyID, Status: cartv1.CartStatus(c.Status), CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
		TotalAmount: c.TotalAmount, Version: c.Version,
	}
	if c.UserID != nil {
		m.UserId = *c.UserID
	}
	if c.Cookie != nil {
		m.Cookie = *c.Cookie
	}
	for _, i := range c.Items {
		m.Items = append(m.Items, &cartv1.CartItem{ProductId: i.ProductID, Name: i.Name, Price: i.Price, Quantity: int32(i.Quantity)})
	}
	return m
}

// ok returns the cart of an answer to a call that must succeed.
func (s *shop) ok(resp *cartv1.CartResponse, err error) *cartv1.Cart {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	return resp.GetCart()
}

// list returns the carts of an answer to a call that must succeed.
func (s *shop) list(resp *cartv1.CartList, err error) []*cartv1.Cart {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	return resp.GetCarts()
}

// tea is a line for the user's cart at company 1.
func (s *shop) tea(product int64) *cartv1.AddItemRequest {
	return &cartv1.AddItemRequest{CompanyId: 1, UserId: s.user, ProductId: product, Name: "Tea", Price: "1.5", Quantity: 2}
}

// addRPC puts the products into the user's cart at company 1.
func (s *shop) addRPC(products ...int64) (c *cartv1.Cart) {
	s.Helper()
	for _, product := range products {
		c = s.ok(s.rpc.AddItem(s.Context(), s.tea(product)))
	}
	return c
}

// moveRPC changes the status of a cart.
func (s *shop) moveRPC(id int64, status cartv1.CartStatus) (*cartv1.CartResponse, error) {
	return s.rpc.ChangeStatus(s.Context(), &cartv1.ChangeStatusRequest{CartId: id, Status: status})
}

// unchangedRPC checks that the cart reads exactly as it was.
func (s *shop) unchangedRPC(was *cartv1.Cart) {
	s.Helper()
	s.same(s.ok(s.rpc.GetCart(s.Context(), &cartv1.GetCartRequest{CartId: was.GetId()})), was)
}

// goneRPC checks that there is no cart with this id any more.
func (s *shop) goneRPC(id int64) {
	s.Helper()
	for _, req := range []proto.Message{
		&cartv1.GetCartRequest{CartId: id},
		&cartv1.UpsertItemRequest{CartId: id, ProductId: 1, Name: "x", Price: "1", Quantity: 1},
		&cartv1.UpdateQtyRequest{CartId: id, ProductId: 1, Quantity: 1},
		&cartv1.RemoveItemRequest{CartId: id, ProductId: 1},
		&cartv1.ChangeStatusRequest{CartId: id, Status: cartv1.CartStatus_LOCKED},
	} {
		s.code(s.invoke(req), codes.NotFound)
	}
}

func productsRPC(c *cartv1.Cart) (ids []int64) {
	for _, i := range c.GetItems() {
		ids = append(ids, i.GetProductId())
	}
	return ids
}

func testBothTransports(s *shop) {
	for _, name := range []string{"x", "茶 \"green\"\n", strings.Repeat("😀", 255)} {
		body := fmt.Sprintf(`{"company_id": 1, "cookie": %q, "product_id": 1, "name": %s, "price": "99999999.99", "quantity": 1000000}`,
			s.guest(), quote(s, name))
		guests := s.post(body, addItem).cart(http.StatusCreated)
		s.unchangedRPC(guests.message())
		req := &cartv1.GetActiveCartRequest{CompanyId: 1, Cookie: s.guest()}
		s.same(s.ok(s.rpc.GetActiveCart(s.Context(), req)), guests.message())
	}
	written := s.addRPC(3, 1, 2)
	s.same(s.get("/api/v1/cart/%d", written.GetId()).cart(http.StatusOK).message(), written)
	moved := s.move(written.GetId(), 3).cart(http.StatusOK)
	s.same(s.list(s.rpc.ListByUser(s.Context(), &cartv1.ListByUserRequest{UserId: s.user})), []*cartv1.Cart{moved.message()})
	s.same(s.list(s.rpc.ListByIds(s.Context(), &cartv1.ListByIdsRequest{Ids: []int64{moved.ID}})), []*cartv1.Cart{moved.message()})
}

func testRPCUpsert(s *shop) {
	req := &cartv1.UpsertCartRequest{CompanyId: 1, UserId: s.user}
	empty := s.ok(s.rpc.UpsertCart(s.Context(), req))
	if empty.GetId() < 1 || empty.GetUserId() != s.user || empty.GetStatus() != cartv1.CartStatus_ACTIVE || empty.GetTotalAmount() != "0.00" {
		s.Errorf("a new cart is %v", empty)
	}
	s.same(s.ok(s.rpc.UpsertCart(s.Context(), req)), empty)
	// Nothing but upsert shows an empty cart, and it cannot change its status.
	s.code(s.invoke(&cartv1.GetCartRequest{CartId: empty.GetId()}), codes.NotFound)
	s.code(s.invoke(&cartv1.GetActiveCartRequest{CompanyId: 1, UserId: s.user}), codes.NotFound)
	s.same(len(s.list(s.rpc.ListByUser(s.Context(), &cartv1.ListByUserRequest{UserId: s.user}))), 0)
	s.same(len(s.list(s.rpc.ListByIds(s.Context(), &cartv1.ListByIdsRequest{Ids: []int64{empty.GetId()}}))), 0)
	_, err := s.moveRPC(empty.GetId(), cartv1.CartStatus_LOCKED)
	s.code(err, codes.FailedPrecondition)
	if filled := s.addRPC(1); filled.GetId() != empty.GetId() {
		s.Errorf("the first line went into cart %d, want %d", filled.GetId(), empty.GetId())
	}
}

func testRPCAddItem(s *shop) {
	c := s.addRPC(5, 3)
	s.same(c.GetItems(), []*cartv1.CartItem{
		{ProductId: 5, Name: "Tea", Price: "1.50", Quantity: 2}, {ProductId: 3, Name: "Tea", Price: "1.50", Quantity: 2},
	})
	if c.GetTotalAmount() != "6.00" {
		s.Errorf("total %s", c.GetTotalAmount())
	}
	s.unchangedRPC(c)
}

func testRPCUpsertItem(s *shop) {
	c := s.addRPC(5, 3)
	req := &cartv1.UpsertItemRequest{CartId: c.GetId(), ProductId: 5, Name: "new", Price: "0", Quantity: 1_000_000}
	c.Items[0] = &cartv1.CartItem{ProductId: 5, Name: "new", Price: "0.00", Quantity: 1_000_000}
	got := s.ok(s.rpc.UpsertItem(s.Context(), req))
	s.same(got.GetItems(), c.GetItems())
	s.unchangedRPC(got)
}

func testRPCUpdateQty(s *shop) {
	c := s.addRPC(1, 2)
	set := func(product int64, quantity int32) *cartv1.Cart {
		s.Helper()
		return s.ok(s.rpc.UpdateQty(s.Context(), &cartv1.UpdateQtyRequest{CartId: c.GetId(), ProductId: product, Quantity: quantity}))
	}
	if got := set(2, 7); got.GetItems()[1].GetQuantity() != 7 || got.GetTotalAmount() != "13.50" {
		s.Errorf("got %v", got)
	}
	s.code(s.invoke(&cartv1.UpdateQtyRequest{CartId: c.GetId(), ProductId: 3, Quantity: 1}), codes.NotFound)
	s.same(productsRPC(set(2, -5)), []int64{1})
	if emptied := set(1, 0); emptied.GetId() != c.GetId() || len(emptied.GetItems()) != 0 || emptied.GetTotalAmount() != "0.00" {
		s.Errorf("the emptied cart is %v", emptied)
	}
	s.goneRPC(c.GetId())
}

func testRPCRemoveItem(s *shop) {
	c := s.addRPC(1, 2)
	remove := func(product int64) *cartv1.Cart {
		s.Helper()
		return s.ok(s.rpc.RemoveItem(s.Context(), &cartv1.RemoveItemRequest{CartId: c.GetId(), ProductId: product}))
	}
	s.same(productsRPC(remove(1)), []int64{2})
	s.same(productsRPC(s.addRPC(1)), []int64{2, 1})
	s.code(s.invoke(&cartv1.RemoveItemRequest{CartId: c.GetId(), ProductId: 3}), codes.NotFound)
	remove(2)
	if emptied := remove(1); emptied.GetId() != c.GetId() || len(emptied.GetItems()) != 0 || emptied.GetTotalAmount() != "0.00" {
		s.Errorf("the emptied cart is %v", emptied)
	}
	s.goneRPC(c.GetId())
}

func testRPCTransitions(s *shop) {
	for from := 1; from <= 4; from++ {
		for to := 1; to <= 4; to++ {
			s := s.in(s.T)
			was := s.ok(s.moveRPC(s.addRPC(1).GetId(), cartv1.CartStatus(from)))
			resp, err := s.moveRPC(was.GetId(), cartv1.CartStatus(to))
			switch {
			case from == to:
				s.same(s.ok(resp, err), was)
			case slices.Contains(mayBecome[from], to):
				now := s.ok(resp, err)
				if int(now.GetStatus()) != to || now.GetVersion() <= was.GetVersion() {
					s.Errorf("from %d to %d: %v", from, to, now)
				}
				was = now
			default:
				s.code(err, codes.FailedPrecondition)
			}
			s.unchangedRPC(was)
			if was.GetStatus() != cartv1.CartStatus_ACTIVE {
				s.code(s.invoke(&cartv1.UpsertItemRequest{CartId: was.GetId(), ProductId: 1, Name: "x", Price: "1", Quantity: 1}), codes.FailedPrecondition)
				s.unchangedRPC(was)
			}
		}
	}
}

func testRPCUnlockWithRival(s *shop) {
	locked := s.ok(s.moveRPC(s.addRPC(1).GetId(), cartv1.CartStatus_LOCKED))
	rival := s.addRPC(2)
	_, err := s.moveRPC(locked.GetId(), cartv1.CartStatus_ACTIVE)
	s.code(err, codes.FailedPrecondition)
	s.unchangedRPC(locked)
	s.ok(s.moveRPC(rival.GetId(), cartv1.CartStatus_CHECKED_OUT))
	s.ok(s.moveRPC(locked.GetId(), cartv1.CartStatus_ACTIVE))
}

func testRPCGetCart(s *shop) {
	s.unchangedRPC(s.addRPC(1, 2))
	s.code(s.invoke(&cartv1.GetCartRequest{CartId: 9223372036854775807}), codes.NotFound)
}

func testRPCGetActiveCart(s *shop) {
	req := &cartv1.GetActiveCartRequest{CompanyId: 1, UserId: s.user}
	s.code(s.invoke(req), codes.NotFound)
	c := s.addRPC(1)
	s.same(s.ok(s.rpc.GetActiveCart(s.Context(), req)), c)
	s.code(s.invoke(&cartv1.GetActiveCartRequest{CompanyId: 2, UserId: s.user}), codes.NotFound)
	s.ok(s.moveRPC(c.GetId(), cartv1.CartStatus_CANCELLED))
	s.code(s.invoke(req), codes.NotFound)
}

func testRPCListByUser(s *shop) {
	var want []*cartv1.Cart // newest first
	for company := range int64(60) {
		req := s.tea(1)
		req.CompanyId = company + 1
		want = append([]*cartv1.Cart{s.ok(s.rpc.AddItem(s.Context(), req))}, want...)
	}
	want[9] = s.ok(s.moveRPC(want[9].GetId(), cartv1.CartStatus_LOCKED))
	for _, tc := range []struct {
		req  *cartv1.ListByUserRequest
		want []*cartv1.Cart
	}{
		{&cartv1.ListByUserRequest{}, want[:50]},
		{&cartv1.ListByUserRequest{Limit: 200}, want},
		{&cartv1.ListByUserRequest{Offset: 50}, want[50:]},
		{&cartv1.ListByUserRequest{Limit: 3, Offset: 8}, want[8:11]},
		{&cartv1.ListByUserRequest{Status: cartv1.CartStatus_LOCKED}, want[9:10]},
		{&cartv1.ListByUserRequest{Status: cartv1.CartStatus_CANCELLED}, nil},
		{&cartv1.ListByUserRequest{CompanyId: 60}, want[:1]},
		{&cartv1.ListByUserRequest{CompanyId: 60, Status: cartv1.CartStatus_LOCKED}, nil},
		{&cartv1.ListByUserRequest{Offset: 2147483647}, nil},
	} {
		tc.req.UserId = s.user
		s.same(s.list(s.rpc.ListByUser(s.Context(), tc.req)), tc.want)
	}
}

func testRPCListByIDs(s *shop) {
	a, b := s.in(s.T).addRPC(1), s.in(s.T).addRPC(1)
	ids := []int64{b.GetId(), 9223372036854775807, a.GetId(), b.GetId()}
	s.same(s.list(s.rpc.ListByIds(s.Context(), &cartv1.ListByIdsRequest{Ids: ids})), []*cartv1.Cart{b, a})
	s.same(len(s.list(s.rpc.ListByIds(s.Context(), new(cartv1.ListByIdsRequest)))), 0)
	many := append(differentIDs(999), a.GetId())
	s.same(s.list(s.rpc.ListByIds(s.Context(), &cartv1.ListByIdsRequest{Ids: slices.Concat(many, many)})), []*cartv1.Cart{a})
}

// differentIDs returns n ids of no cart.
func differentIDs(n int) []int64 {
	ids := make([]int64, n)
	for i := range ids {
		ids[i] = math.MaxInt64 - int64(i)
	}
	return ids
}

func testRPCRepeating(s *shop) {
	c := s.addRPC(1, 2)
	s.same(s.addRPC(2), c)
	s.same(s.ok(s.rpc.UpsertCart(s.Context(), &cartv1.UpsertCartRequest{CompanyId: 1, UserId: s.user})), c)
	s.same(s.ok(s.rpc.UpsertItem(s.Context(), &cartv1.UpsertItemRequest{CartId: c.GetId(), ProductId: 1, Name: "Tea", Price: "1.50", Quantity: 2})), c)
	s.same(s.ok(s.rpc.UpdateQty(s.Context(), &cartv1.UpdateQtyRequest{CartId: c.GetId(), ProductId: 1, Quantity: 2})), c)
	s.unchangedRPC(c)
}

func testRPCUnknownFields(s *shop) {
	req := s.tea(1)
	req.ProtoReflect().SetUnknown(protoreflect.RawFields{0xf8, 0x3f, 7}) // field 1023: 7
	if c := s.ok(s.rpc.AddItem(s.Context(), req)); c.GetUserId() != s.user {
		s.Errorf("got %v", c)
	}
}

func testRPCGuests(s *shop) {
	cookie := s.guest()
	req := &cartv1.AddItemRequest{CompanyId: 1, Cookie: cookie, ProductId: 1, Name: "x", Price: "1", Quantity: 1}
	guests := s.ok(s.rpc.AddItem(s.Context(), req))
	if guests.GetCookie() != cookie || guests.GetUserId() != 0 {
		s.Errorf("the guest's cart is %v", guests)
	}
	s.same(s.by(cookie, http.MethodGet, active, "").cart(http.StatusOK).message(), guests)
	req.UserId = s.user // the user wins
	users := s.ok(s.rpc.AddItem(s.Context(), req))
	if users.GetId() == guests.GetId() || users.GetUserId() != s.user || users.GetCookie() != "" {
		s.Errorf("the cart of a user who has a cookie too is %v", users)
	}
	s.unchangedRPC(guests)
}

func testHealth(s *shop) {
	for _, service := range []string{"", "sellio.cart.v1.CartService"} {
		resp, err := healthv1.NewHealthClient(s.conn).Check(s.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || resp.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			s.Errorf("service %q: %v, %v", service, resp, err)
		}
	}
}

// reflected returns the service as reflection describes it, for clients that know nothing of it.
func (s *shop) reflected(name protoreflect.FullName) protoreflect.ServiceDescriptor {
	s.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(s.conn).ServerReflectionInfo(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	ask := func(req *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
		s.Helper()
		if err := stream.Send(req); err != nil {
			s.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil {
			s.Fatal(err)
		}
		return resp
	}
	services := ask(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
	named := func(r *reflectionv1.ServiceResponse) bool { return r.GetName() == string(name) }
	if !slices.ContainsFunc(services.GetListServicesResponse().GetService(), named) {
		s.Fatalf("reflection lists %v", services)
	}
	symbol := &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: string(name)}
	var set descriptorpb.FileDescriptorSet
	for _, file := range ask(&reflectionv1.ServerReflectionRequest{MessageRequest: symbol}).GetFileDescriptorResponse().GetFileDescriptorProto() {
		fd := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(file, fd); err != nil {
			s.Fatal(err)
		}
		set.File = append(set.File, fd)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		s.Fatal(err)
	}
	found, err := files.FindDescriptorByName(name)
	if err != nil {
		s.Fatal(err)
	}
	return found.(protoreflect.ServiceDescriptor)
}

// testReflection calls each method as grpcurl does.
func testReflection(s *shop) {
	service := s.reflected("sellio.cart.v1.CartService")
	id := s.add(1, 2).ID
	for method, request := range map[protoreflect.Name]string{
		"UpsertCart":     fmt.Sprintf(`{"company_id": 1, "user_id": %d}`, s.user),
		"AddItem":        fmt.Sprintf(`{"company_id": 1, "user_id": %d, "product_id": 3, "name": "x", "price": "1", "quantity": 1}`, s.user),
		"UpsertItem":     fmt.Sprintf(`{"cart_id": %d, "product_id": 4, "name": "x", "price": "1", "quantity": 1}`, id),
		"UpdateQty":      fmt.Sprintf(`{"cart_id": %d, "product_id": 1, "quantity": 3}`, id),
		"RemoveItem":     fmt.Sprintf(`{"cart_id": %d, "product_id": 2}`, id),
		"ChangeStatus":   fmt.Sprintf(`{"cart_id": %d, "status": "ACTIVE"}`, id),
		"ChangeQty":      fmt.Sprintf(`{"cart_id": %d, "product_id": 1, "by": 1, "idempotency_key": "k"}`, id),
		"ChangeItems":    fmt.Sprintf(`{"cart_id": %d, "changes": [{"set": {"product_id": 1, "quantity": 5}}]}`, id),
		"ChangeStatuses": fmt.Sprintf(`{"carts": [{"id": %d}], "status": "ACTIVE"}`, id),
		"MergeCarts":     fmt.Sprintf(`{"user_id": %d, "cookie": "nobody"}`, s.user),
		"GetBasket":      fmt.Sprintf(`{"user_id": %d}`, s.user),
		"GetCart":        fmt.Sprintf(`{"cart_id": %d}`, id),
		"GetActiveCart":  fmt.Sprintf(`{"company_id": 1, "user_id": %d}`, s.user),
		"ListByUser":     fmt.Sprintf(`{"user_id": %d, "status": "ACTIVE"}`, s.user),
		"ListByIds":      fmt.Sprintf(`{"ids": [%d]}`, id),
	} {
		m := service.Methods().ByName(method)
		if m == nil {
			s.Errorf("reflection does not know %s", method)
			continue
		}
		in, out := dynamicpb.NewMessage(m.Input()), dynamicpb.NewMessage(m.Output())
		if err := protojson.Unmarshal([]byte(request), in); err != nil {
			s.Errorf("%s: %v", method, err)
			continue
		}
		if err := s.conn.Invoke(s.Context(), fmt.Sprintf("/%s/%s", service.FullName(), method), in, out); err != nil {
			s.Errorf("%s: %v", method, err)
			continue
		}
		answered, err := protojson.Marshal(out)
		if text := strings.ReplaceAll(string(answered), " ", ""); err != nil || !strings.Contains(text, fmt.Sprintf(`"id":"%d"`, id)) {
			s.Errorf("%s: %v\n%s", method, err, answered)
		}
	}
	if n := service.Methods().Len(); n != 15 {
		s.Errorf("the service has %d methods, and 15 are called here", n)
	}
}
