package rpc

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
)

// ownerOf returns the owner that a request names or, if it names none, the caller. The user takes precedence
// over the cookie, which must be valid all the same. The command checks everything else.
func ownerOf(ctx context.Context, userID int64, cookie string) (cart.Owner, error) {
	switch {
	case userID == 0 && cookie == "":
		return auth.CallerOf(ctx).Owner, nil
	case userID == 0:
		return cart.Guest(cookie), nil
	}
	owner := cart.Owner{UserID: userID}
	if cookie != "" && !cart.ValidCookie(cookie) {
		return owner, cart.InvalidField("cookie")
	}
	return owner, nil
}

// itemOf returns the line in a request, and the error of its price. The command checks everything else.
func itemOf(req interface {
	GetProductId() int64
	GetName() string
	GetPrice() string
	GetQuantity() int32
},
) (cart.Item, error) {
	price, err := cart.ParsePrice(req.GetPrice())
	return cart.Item{
		ProductID: req.GetProductId(),
		Name:      req.GetName(),
		Price:     price,
		Quantity:  int64(req.GetQuantity()),
	}, err
}

// cartStatus returns the status with that number, known or not. Numbers that would overflow become -1, which is
// never a status.
func cartStatus(n cartv1.CartStatus) cart.Status {
	if n < 0 || n > math.MaxInt16 {
		return -1
	}
	return cart.Status(n)
}

// matchVersion makes the version, 0 for any, a condition of a request that names its cart by id.
func matchVersion(r *cart.Request, version int64) error {
	if version < 0 {
		return cart.InvalidField("expected_version")
	}
	if version > 0 {
		tag := cart.Tag{Version: version}
		if r.Command != nil {
			tag.ID = r.Command.Ref().ID
		}
		r.Match = &cart.Match{Tags: []cart.Tag{tag}}
	}
	return nil
}

// matchTag makes the tags, none for any, a condition of a request that names its cart by owner.
func matchTag(r *cart.Request, tags string) (err error) {
	if tags != "" {
		r.Match, err = cart.ParseMatch(tags)
	}
	return err
}

// refused is the error of a field that the request must not have.
func refused(field string, given bool) error {
	if given {
		return cart.InvalidField(field)
	}
	return nil
}

func ifPresent(p cartv1.IfPresent) (add bool, err error) {
	switch p {
	case cartv1.IfPresent_IF_PRESENT_UNSPECIFIED, cartv1.IfPresent_IF_PRESENT_REPLACE:
		return false, nil
	case cartv1.IfPresent_IF_PRESENT_ADD:
		return true, nil
	default:
		return false, cart.InvalidField("if_present")
	}
}

func ifActive(a cartv1.IfActive, status cart.Status) (merges bool, err error) {
	merges = a == cartv1.IfActive_IF_ACTIVE_MERGE
	known := merges || a == cartv1.IfActive_IF_ACTIVE_REFUSE
	if a != cartv1.IfActive_IF_ACTIVE_UNSPECIFIED && (!known || status != cart.Active) {
		return false, cart.InvalidField("if_active")
	}
	return merges, nil
}

// attributesOf returns nil where there is no message. The command checks their limits.
func attributesOf(m *cartv1.Attributes) *cart.Attributes {
	if m == nil {
		return nil
	}
	a := cart.NewAttributes(m.GetValues())
	return &a
}

// changesOf converts changes. The command checks what this does not.
func changesOf(list []*cartv1.ItemChange) ([]cart.ItemChange, error) {
	changes := make([]cart.ItemChange, len(list))
	var errs []error
	for i, m := range list {
		var err error
		if changes[i], err = changeOf(m); err != nil && i < cart.MaxChanges {
			errs = append(errs, cart.Within(fmt.Sprintf("changes[%d]", i), err))
		}
	}
	return changes, cart.Invalid(errs...)
}

// changeOf converts a change. One without an operation stays empty, which the command refuses.
func changeOf(m *cartv1.ItemChange) (ch cart.ItemChange, err error) {
	switch {
	case m.GetPut() != nil:
		put := m.GetPut()
		item, badPrice := itemOf(put)
		add, badPresent := ifPresent(put.GetIfPresent())
		ch = cart.ItemChange{Op: cart.OpPut, Item: item, Add: add, Attributes: attributesOf(put.GetAttributes())}
		err = cart.Invalid(badPrice, badPresent)
	case m.GetSet() != nil:
		ch = cart.ItemChange{Op: cart.OpSet, Item: cart.Item{ProductID: m.GetSet().GetProductId(), Quantity: int64(m.GetSet().GetQuantity())}}
	case m.GetChange() != nil:
		ch = cart.ItemChange{Op: cart.OpChange, Item: cart.Item{ProductID: m.GetChange().GetProductId()}, By: int64(m.GetChange().GetBy())}
	case m.GetRemove() != nil:
		ch = cart.ItemChange{Op: cart.OpRemove, Item: cart.Item{ProductID: m.GetRemove().GetProductId()}}
	case m.GetClear() != nil:
		ch = cart.ItemChange{Op: cart.OpClear}
	}
	return ch, err
}

func response(c *cart.Cart, err error) (*cartv1.CartResponse, error) {
	if err != nil {
		return nil, err
	}
	return &cartv1.CartResponse{Cart: message(c)}, nil
}

func list(carts []*cart.Cart, err error) (*cartv1.CartList, error) {
	if err != nil {
		return nil, err
	}
	messages := make([]*cartv1.Cart, len(carts))
	for i, c := range carts {
		messages[i] = message(c)
	}
	return &cartv1.CartList{Carts: messages}, nil
}

// message converts a cart for clients.
func message(c *cart.Cart) *cartv1.Cart {
	m := &cartv1.Cart{
		Id:          c.ID,
		CompanyId:   c.CompanyID,
		Status:      cartv1.CartStatus(c.Status),
		CreatedAt:   timestamp(c.CreatedAt),
		UpdatedAt:   timestamp(c.UpdatedAt),
		Items:       lines(c.Items),
		TotalAmount: c.Total(),
		Version:     c.Version,
		Attributes:  c.Attributes.Map(),
		Reference:   c.Reference,
	}
	if !c.LockedUntil.IsZero() {
		m.LockedUntil = timestamp(c.LockedUntil)
	}
	if c.UserID != nil {
		m.UserId = *c.UserID
	}
	if c.Cookie != nil {
		m.Cookie = *c.Cookie
	}
	return m
}

// lines makes three allocations for any number of lines: carts are read often, and may be long.
func lines(items []cart.Item) []*cartv1.CartItem {
	const usualPrice = len("12345.67")
	var (
		messages = make([]cartv1.CartItem, len(items))
		pointers = make([]*cartv1.CartItem, len(items))
		prices   strings.Builder
		digits   [24]byte
	)
	prices.Grow(len(items) * usualPrice)
	for i, item := range items {
		start := prices.Len()
		prices.Write(item.Price.Append(digits[:0]))
		m := &messages[i]
		m.ProductId = item.ProductID
		m.Name = item.Name
		m.Price = prices.String()[start:]
		m.Quantity = int32(item.Quantity) // databases keep 32 bits
		m.Attributes = item.Attributes.Map()
		pointers[i] = m
	}
	return pointers
}

// timestamp formats a time according to RFC 3339, always with microseconds, PostgreSQL's precision. Package time is fast
// only with its own layouts, and those omit trailing zeros.
func timestamp(t time.Time) string {
	var buf [len("2006-01-02T15:04:05.000000Z")]byte
	text := t.UTC().AppendFormat(buf[:0], time.RFC3339)
	point := len(text) - len("Z")
	text = strconv.AppendInt(text[:point], int64(1_000_000+t.Nanosecond()/1000), 10)
	text[point] = '.' // replaces the 1 of 1_000_000, which kept the leading zeros
	return string(append(text, 'Z'))
}
