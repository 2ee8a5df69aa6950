package rest

import (
	"context"
	"net/netip"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/ratelimit"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// handler implements the operations of api/openapi.yaml. What it gets has passed the checks that the
// document states.
type handler struct {
	carts   cart.Service
	version string
	auth    *auth.Authenticator // see [Options]
	ready   func() error
	limit   *ratelimit.Limiter
	proxies []netip.Prefix
}

var (
	_ oas.Handler         = (*handler)(nil)
	_ oas.SecurityHandler = (*handler)(nil)
)

// HandleBearer finds out who makes a request, of operations that the document says are not open to all. It runs
// before anything else of the request is read.
func (h *handler) HandleBearer(ctx context.Context, _ oas.OperationName, t oas.Bearer) (context.Context, error) {
	if h.auth == nil {
		return ctx, nil
	}
	caller, err := h.auth.Authenticate(ctx, t.Request.Header["Authorization"], t.Request.Header["Cookie"], visitOf(ctx).guest)
	if err != nil {
		return nil, err
	}
	return auth.With(ctx, caller), nil
}

func (h *handler) GetService(context.Context) (*oas.Service, error) {
	return &oas.Service{Service: "sellio-cart", Version: h.version}, nil
}

func (h *handler) GetHealth(context.Context) (*oas.Health, error) {
	return &oas.Health{Status: "ok"}, nil
}

func (h *handler) GetHealthV1(ctx context.Context) (*oas.Health, error) {
	return h.GetHealth(ctx)
}

func (h *handler) GetReady(context.Context) (oas.GetReadyRes, error) {
	if err := h.ready(); err != nil {
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
			return nil, cart.ErrNotFound // A guest who has just come has no cart.
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
	return many(h.carts.GetMany(ctx, req.Ids))
}

func (h *handler) UpsertCart(ctx context.Context, req *oas.UpsertRequest) (oas.UpsertCartRes, error) {
	cmd, err := upsert(ctx, req)
	return h.do(ctx, h.limit.Limit(cmd, h.caller(ctx, cmd.Owner)), err)
}

func (h *handler) AddItem(ctx context.Context, req *oas.AddItemRequest) (oas.AddItemRes, error) {
	cmd, err := addItem(ctx, req)
	return h.do(ctx, h.limit.Limit(cmd, h.caller(ctx, cmd.Owner)), err)
}

func (h *handler) PutItem(ctx context.Context, req *oas.ItemRequest, p oas.PutItemParams) (oas.PutItemRes, error) {
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

// caller returns who creates a cart for the owner. A fresh cookie is nobody yet, so its address counts.
func (h *handler) caller(ctx context.Context, owner cart.Owner) ratelimit.Caller {
	if v := visitOf(ctx); v.fresh != "" {
		return ratelimit.At(clientAddress(v.request, h.proxies))
	}
	return ratelimit.Caller{Owner: owner}
}

// do runs the command unless there is an error already. A fresh guest cookie goes out whatever comes
// of the command, so that a caller who repeats it finds the cart that it may have made; but not where it has
// made too many, or the next try would be that of another caller.
func (h *handler) do(ctx context.Context, cmd cart.Command, err error) (*oas.Cart, error) {
	if err != nil {
		return nil, err
	}
	v := visitOf(ctx)
	v.keepGuest(cmd.Ref().Owner)
	c, err := h.carts.Do(ctx, cmd)
	if cart.CodeOf(err) == cart.CodeRateLimited {
		v.Header().Del("Set-Cookie")
	}
	return one(c, err)
}
