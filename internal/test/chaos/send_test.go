//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

// send sends a request to the instance, over REST or over gRPC.
func (s *service) send(ctx context.Context, r cart.Request, overREST bool) answer {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p := s.running.Load()
	if !overREST {
		resp, err := call(ctx, p.rpc, r)
		if err != nil {
			return rpcFailure(err)
		}
		return rpcCart(resp.GetCart())
	}
	method, path, body := request(r.Command)
	code, answered, err := p.fetch(ctx, method, path, body, r.Key)
	switch {
	case err != nil:
		return restFailure(err)
	case code/100 == 2:
		var c restCart
		if err := json.Unmarshal(answered, &c); err != nil {
			return answer{outcome: faulted, err: err}
		}
		return c.answer()
	default:
		return restProblem(code, answered)
	}
}

// request converts a command to a REST request.
func request(cmd cart.Command) (method, path string, body any) {
	switch cmd := cmd.(type) {
	case cart.AddItem:
		owned := map[string]any{"company_id": cmd.CompanyID, "user_id": cmd.Owner.UserID}
		if cmd.Owner.Cookie != "" {
			owned = map[string]any{"company_id": cmd.CompanyID, "cookie": cmd.Owner.Cookie}
		}
		if cmd.Add {
			owned["if_present"] = "add"
		}
		return http.MethodPost, "/api/v1/cart/add-item", withItem(owned, cmd.Item)
	case cart.PutItem:
		return http.MethodPost, fmt.Sprintf("/api/v1/cart/%d/item", cmd.CartID), withItem(map[string]any{}, cmd.Item)
	case cart.SetQuantity:
		return http.MethodPut, fmt.Sprintf("/api/v1/cart/%d/item/%d/quantity", cmd.CartID, cmd.ProductID),
			map[string]any{"quantity": cmd.Quantity}
	case cart.ChangeQuantity:
		return http.MethodPost, fmt.Sprintf("/api/v1/cart/%d/item/%d/quantity", cmd.CartID, cmd.ProductID), map[string]any{"by": cmd.By}
	case cart.RemoveItem:
		return http.MethodDelete, fmt.Sprintf("/api/v1/cart/%d/item/%d", cmd.CartID, cmd.ProductID), nil
	case cart.SetStatus:
		return http.MethodPut, fmt.Sprintf("/api/v1/cart/%d/status", cmd.CartID), map[string]any{"status": cmd.Status}
	default:
		panic(fmt.Sprintf("no client sends a %T", cmd))
	}
}

func withItem(body map[string]any, i cart.Item) map[string]any {
	body["product_id"], body["name"], body["price"], body["quantity"] = i.ProductID, i.Name, i.Price.String(), i.Quantity
	return body
}

// call sends a request over gRPC.
func call(ctx context.Context, c cartv1.CartServiceClient, r cart.Request) (*cartv1.CartResponse, error) {
	switch cmd := r.Command.(type) {
	case cart.AddItem:
		present := cartv1.IfPresent_IF_PRESENT_REPLACE
		if cmd.Add {
			present = cartv1.IfPresent_IF_PRESENT_ADD
		}
		return c.AddItem(ctx, &cartv1.AddItemRequest{
			IfPresent: present, IdempotencyKey: r.Key,
			CompanyId: cmd.CompanyID, UserId: cmd.Owner.UserID, Cookie: cmd.Owner.Cookie, ProductId: cmd.Item.ProductID,
			Name: cmd.Item.Name, Price: cmd.Item.Price.String(), Quantity: int32(cmd.Item.Quantity),
		})
	case cart.PutItem:
		return c.UpsertItem(ctx, &cartv1.UpsertItemRequest{
			CartId: cmd.CartID, ProductId: cmd.Item.ProductID,
			Name: cmd.Item.Name, Price: cmd.Item.Price.String(), Quantity: int32(cmd.Item.Quantity),
		})
	case cart.SetQuantity:
		return c.UpdateQty(ctx, &cartv1.UpdateQtyRequest{CartId: cmd.CartID, ProductId: cmd.ProductID, Quantity: int32(cmd.Quantity)})
	case cart.ChangeQuantity:
		return c.ChangeQty(ctx, &cartv1.ChangeQtyRequest{
			CartId: cmd.CartID, ProductId: cmd.ProductID, By: int32(cmd.By), IdempotencyKey: r.Key,
		})
	case cart.RemoveItem:
		return c.RemoveItem(ctx, &cartv1.RemoveItemRequest{CartId: cmd.CartID, ProductId: cmd.ProductID})
	case cart.SetStatus:
		return c.ChangeStatus(ctx, &cartv1.ChangeStatusRequest{CartId: cmd.CartID, Status: cartv1.CartStatus(cmd.Status)})
	default:
		panic(fmt.Sprintf("no client sends a %T", cmd))
	}
}

// fetch makes a REST request, with an idempotency key unless that is empty, and returns the status and body of the answer.
func (p *process) fetch(ctx context.Context, method, path string, body any, key string) (code int, answered []byte, err error) {
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = strings.NewReader(string(text))
	}
	req, err := http.NewRequestWithContext(ctx, method, p.rest+path, in)
	if err != nil {
		return 0, nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answered, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answered, err
}

// restFailure returns the outcome of a command whose request got no answer.
func restFailure(err error) answer {
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return answer{outcome: refused, err: err}
	}
	return answer{outcome: unknown, err: err}
}

// restProblem returns the outcome of a command that the service answered with an error.
func restProblem(code int, body []byte) answer {
	var problem struct{ Detail string }
	if err := json.Unmarshal(body, &problem); err != nil {
		return answer{outcome: faulted, err: fmt.Errorf("status %d: %w", code, err)}
	}
	err := fmt.Errorf("status %d: %s", code, problem.Detail)
	switch code {
	case http.StatusNotFound:
		return answer{outcome: acknowledged}
	case http.StatusServiceUnavailable:
		return unavailable(problem.Detail, err)
	case http.StatusConflict:
		return answer{outcome: refused, err: err}
	default:
		return answer{outcome: faulted, err: err}
	}
}

// rpcFailure returns the outcome of a failed gRPC call. UNAVAILABLE without RetryInfo comes from the connection, not from
// the service.
func rpcFailure(err error) answer {
	st := status.Convert(err)
	switch st.Code() {
	case codes.NotFound:
		return answer{outcome: acknowledged}
	case codes.Unavailable:
		for _, detail := range st.Details() {
			if _, ok := detail.(*errdetails.RetryInfo); ok {
				return unavailable(st.Message(), err)
			}
		}
		return answer{outcome: unknown, err: err}
	case codes.Canceled:
		return answer{outcome: unknown, err: err}
	case codes.Aborted, codes.ResourceExhausted:
		return answer{outcome: refused, err: err}
	default:
		return answer{outcome: faulted, err: err}
	}
}

// unavailable distinguishes the two kinds of outage by their text. Real clients need not: they repeat the command in both.
func unavailable(detail string, err error) answer {
	if detail == cart.OutcomeUnknown(nil).Detail {
		return answer{outcome: unknown, err: err}
	}
	return answer{outcome: refused, err: err}
}

// restCart is a cart as REST shows it.
type restCart struct {
	ID        int64       `json:"id"`
	CompanyID int64       `json:"company_id"`
	UserID    *int64      `json:"user_id"`
	Cookie    *string     `json:"cookie"`
	Status    cart.Status `json:"status"`
	Version   int64       `json:"version"`
	Total     string      `json:"total_amount"`
	Items     []struct {
		ProductID int64  `json:"product_id"`
		Name      string `json:"name"`
		Price     string `json:"price"`
		Quantity  int64  `json:"quantity"`
	} `json:"items"`
}

func (r *restCart) answer() answer {
	c := &cart.Cart{ID: r.ID, CompanyID: r.CompanyID, UserID: r.UserID, Cookie: r.Cookie, Status: r.Status, Version: r.Version}
	for _, i := range r.Items {
		price, err := cart.ParsePrice(i.Price)
		if err != nil {
			return answer{outcome: faulted, err: err}
		}
		c.Items = append(c.Items, cart.Item{ProductID: i.ProductID, Name: i.Name, Price: price, Quantity: i.Quantity})
	}
	return answer{cart: c, total: r.Total}
}

func rpcCart(m *cartv1.Cart) answer {
	c := &cart.Cart{ID: m.GetId(), CompanyID: m.GetCompanyId(), Status: cart.Status(m.GetStatus()), Version: m.GetVersion()}
	if user := m.GetUserId(); user != 0 {
		c.UserID = &user
	} else if cookie := m.GetCookie(); cookie != "" {
		c.Cookie = &cookie
	}
	for _, i := range m.GetItems() {
		price, err := cart.ParsePrice(i.GetPrice())
		if err != nil {
			return answer{outcome: faulted, err: err}
		}
		c.Items = append(c.Items, cart.Item{ProductID: i.GetProductId(), Name: i.GetName(), Price: price, Quantity: int64(i.GetQuantity())})
	}
	return answer{cart: c, total: m.GetTotalAmount()}
}

// restCarts reads a list of carts.
func restCarts(body []byte) ([]answer, error) {
	var list []restCart
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	answers := make([]answer, len(list))
	for i := range list {
		answers[i] = list[i].answer()
	}
	return answers, nil
}
