package rest

import (
	"context"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/ratelimit"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// handler implements the operations of api/openapi.yaml. The generated code has checked the requests against
// the document.
type handler struct {
	Options
	carts cart.Service
}

var (
	_ oas.Handler         = (*handler)(nil)
	_ oas.SecurityHandler = (*handler)(nil)
)

// HandleBearer authenticates the caller of an operation for which the document requires it. It runs before the
// parameters and the body are read.
func (h *handler) HandleBearer(ctx context.Context, _ oas.OperationName, t oas.Bearer) (context.Context, error) {
	if h.Auth == nil {
		return ctx, nil
	}
	caller, err := h.Auth.Authenticate(ctx, t.Request.Header["Authorization"], t.Request.Header["Cookie"], visitOf(ctx).guest)
	if err != nil {
		return nil, err
	}
	return auth.With(ctx, caller), nil
}

func (h *handler) GetService(context.Context) (*oas.Service, error) {
	return &oas.Service{Service: "sellio-cart", Version: h.Version}, nil
}

func (h *handler) GetHealth(context.Context) (*oas.Health, error) {
	return &oas.Health{Status: "ok"}, nil
}

func (h *handler) GetHealthV1(ctx context.Context) (*oas.Health, error) {
	return h.GetHealth(ctx)
}

func (h *handler) GetReady(context.Context) (oas.GetReadyRes, error) {
	if err := h.Ready(); err != nil {
		return nil, err
	}
	return &oas.Health{Status: "ready"}, nil
}

func (h *handler) GetCart(ctx context.Context, p oas.GetCartParams) (oas.GetCartRes, error) {
	return one(h.carts.Get(ctx, cart.ByID(p.CartID)))
}

func (h *handler) GetActiveCart(ctx context.Context, p oas.GetActiveCartParams) (oas.GetActiveCartRes, error) {
	owner := cart.User(p.UserID.Or(0))
	if owner.IsNobody() {
		owner = self(ctx)
		if v := visitOf(ctx); v.fresh != "" {
			v.keepGuest(owner)
			return nil, cart.ErrNotFound // A new guest has no cart.
		}
	}
	return one(h.carts.Get(ctx, cart.ActiveOf(p.CompanyID, owner)))
}

func (h *handler) ListCartsByUser(ctx context.Context, p oas.ListCartsByUserParams) (oas.ListCartsByUserRes, error) {
	l, err := listing(p)
	if err != nil {
		return nil, err
	}
	return many(h.carts.List(ctx, l))
}

func (h *handler) ListCartsByIDs(ctx context.Context, req *oas.IDsRequest) (oas.ListCartsByIDsRes, error) {
	if err := cart.CheckIDs(req.Ids); err != nil {
		return nil, err
	}
	return many(h.carts.GetMany(ctx, req.Ids))
}

func (h *handler) UpsertCart(ctx context.Context, req *oas.UpsertRequest) (oas.UpsertCartRes, error) {
	cmd, err := upsert(ctx, req)
	return h.do(ctx, cmd, err)
}

func (h *handler) AddItem(ctx context.Context, req *oas.AddItemRequest) (oas.AddItemRes, error) {
	req.Name = nameOf(ctx, req.Name)
	cmd, err := addItem(ctx, req)
	return h.do(ctx, cmd, err)
}

func (h *handler) PutItem(ctx context.Context, req *oas.ItemRequest, p oas.PutItemParams) (oas.PutItemRes, error) {
	req.Name = nameOf(ctx, req.Name)
	cmd, err := putItem(req, p)
	return h.do(ctx, cmd, err)
}

func (h *handler) SetQuantity(ctx context.Context, req *oas.QuantityRequest, p oas.SetQuantityParams) (oas.SetQuantityRes, error) {
	cmd, err := setQuantity(req, p)
	return h.do(ctx, cmd, err)
}

func (h *handler) RemoveItem(ctx context.Context, p oas.RemoveItemParams) (oas.RemoveItemRes, error) {
	cmd, err := removeItem(p)
	return h.do(ctx, cmd, err)
}

func (h *handler) SetStatus(ctx context.Context, req *oas.StatusRequest, p oas.SetStatusParams) (oas.SetStatusRes, error) {
	cmd, err := setStatus(req, p)
	return h.do(ctx, cmd, err)
}

// do runs the command unless err is set. The client gets a fresh guest cookie even if the command fails, since
// the command may have created the guest's cart, and a retry must find it. A rate-limited client gets none: with
// the cookie, its retry would no longer count as a new guest's.
func (h *handler) do(ctx context.Context, cmd cart.Command, err error) (*oas.Cart, error) {
	if err != nil {
		return nil, err
	}
	v := visitOf(ctx)
	if v.fresh != "" { // A new guest: the rate of new carts is limited by address.
		ctx = ratelimit.From(ctx, clientAddress(v.request, h.TrustedProxies))
	}
	done, err := h.carts.Do(ctx, cart.Do(cmd))
	if err == nil || cart.CodeOf(err) != cart.CodeRateLimited {
		v.keepGuest(cmd.Ref().Owner)
	}
	return one(done.Cart, err)
}
