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
	c, err := h.get(ctx, cart.ByID(p.CartID))
	return one(c, err)
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
	c, err := h.get(ctx, cart.ActiveOf(p.CompanyID, owner))
	if c != nil {
		visitOf(ctx).renew(owner, c.UpdatedAt)
	}
	return one(c, err)
}

// get returns a cart, or errNotModified with it, and sends its tag.
func (h *handler) get(ctx context.Context, ref cart.Ref) (*cart.Cart, error) {
	c, err := h.carts.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	v := visitOf(ctx)
	v.tag(c)
	return c, checkModified(v.request.Header, c)
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
	cmd, err := putItem(ctx, req, p)
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
	if req.IfActive.Value == ifActiveMerge {
		r, err := release(ctx, req, p)
		return h.run(ctx, r, err)
	}
	cmd, err := setStatus(ctx, req, p)
	return h.do(ctx, cmd, err)
}

func (h *handler) ChangeQuantity(ctx context.Context, req *oas.ByRequest, p oas.ChangeQuantityParams) (oas.ChangeQuantityRes, error) {
	cmd, err := changeQuantity(req, p)
	return h.do(ctx, cmd, err)
}

func (h *handler) ChangeItems(ctx context.Context, req *oas.ChangesRequest, p oas.ChangeItemsParams) (oas.ChangeItemsRes, error) {
	cmd, err := changeItems(ctx, req, p)
	return h.do(ctx, cmd, err)
}

func (h *handler) ChangeActiveItems(ctx context.Context, req *oas.ActiveChangesRequest) (oas.ChangeActiveItemsRes, error) {
	cmd, err := changeActiveItems(ctx, req)
	return h.do(ctx, cmd, err)
}

// do runs the command unless err is set.
func (h *handler) do(ctx context.Context, cmd cart.Command, err error) (*oas.Cart, error) {
	return h.run(ctx, cart.Do(cmd), err)
}

// run runs the request, which is about one cart, unless err is set. The client gets a fresh guest cookie even if the
// request fails, since it may have created the guest's cart, and a retry must find it. A rate-limited client gets none: with
// the cookie, its retry would no longer count as a new guest's.
func (h *handler) run(ctx context.Context, r cart.Request, err error) (*oas.Cart, error) {
	if err != nil {
		return nil, err
	}
	v := visitOf(ctx)
	if err := conditions(v.request.Header, &r); err != nil {
		return nil, err
	}
	if err := r.CheckRepeatable(); err != nil {
		return nil, err
	}
	if v.fresh != "" { // A new guest: the rate of new carts is limited by address.
		ctx = ratelimit.From(ctx, clientAddress(v.request, h.TrustedProxies))
	}
	var owner cart.Owner // as the request names it
	if r.Command != nil {
		owner = r.Command.Ref().Owner
	}
	done, err := h.carts.Do(ctx, r)
	if err == nil || cart.CodeOf(err) != cart.CodeRateLimited {
		v.keepGuest(owner)
	}
	if err != nil {
		return nil, err
	}
	if len(done.Carts) > 0 {
		done.Cart = done.Carts[0]
	}
	v.renew(owner, done.Found)
	v.replayed(done)
	v.tag(done.Cart)
	return one(done.Cart, nil)
}

// replayed tells the client that its request was done before.
func (v *visit) replayed(done cart.Result) {
	if done.Replayed {
		v.Header().Set("Idempotency-Replayed", "true")
	}
}
