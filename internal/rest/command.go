package rest

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// The functions below convert requests to commands. Their errors are CodeInvalid and name every invalid
// field.

func upsert(ctx context.Context, req *oas.UpsertRequest) (cart.Upsert, error) {
	owner, err := ownerOf(ctx, req.UserID, req.Cookie)
	cmd := cart.Upsert{CompanyID: req.CompanyID, Owner: owner}
	return cmd, cart.Invalid(cmd.Validate(), err)
}

func addItem(ctx context.Context, req *oas.AddItemRequest) (cart.AddItem, error) {
	owner, ownerErr := ownerOf(ctx, req.UserID, req.Cookie)
	price, priceErr := cart.ParsePrice(req.Price)
	cmd := cart.AddItem{
		CompanyID: req.CompanyID,
		Owner:     owner,
		Item:      cart.Item{ProductID: req.ProductID, Name: req.Name, Price: price, Quantity: req.Quantity},
	}
	var presentErr, attributesErr error
	cmd.Add, presentErr = ifPresent(req.IfPresent)
	cmd.Attributes, attributesErr = attributes(ctx, req.Attributes)
	return cmd, cart.Invalid(cmd.Validate(), ownerErr, priceErr, presentErr, attributesErr)
}

func putItem(ctx context.Context, req *oas.ItemRequest, p oas.PutItemParams) (cart.Command, error) {
	price, priceErr := cart.ParsePrice(req.Price)
	cmd := cart.PutItem{
		CartID: p.CartID,
		Item:   cart.Item{ProductID: req.ProductID, Name: req.Name, Price: price, Quantity: req.Quantity},
	}
	var presentErr, attributesErr error
	cmd.Add, presentErr = ifPresent(req.IfPresent)
	cmd.Attributes, attributesErr = attributes(ctx, req.Attributes)
	return cmd, cart.Invalid(cmd.Validate(), priceErr, presentErr, attributesErr)
}

func setQuantity(req *oas.QuantityRequest, p oas.SetQuantityParams) (cart.Command, error) {
	cmd := cart.SetQuantity{CartID: p.CartID, ProductID: p.ProductID, Quantity: req.Quantity}
	return cmd, cmd.Validate()
}

func removeItem(p oas.RemoveItemParams) (cart.Command, error) {
	cmd := cart.RemoveItem{CartID: p.CartID, ProductID: p.ProductID}
	return cmd, cmd.Validate()
}

func setStatus(ctx context.Context, req *oas.StatusRequest, p oas.SetStatusParams) (cart.Command, error) {
	cmd := cart.SetStatus{CartID: p.CartID, Status: cart.Status(req.Status)}
	seconds, reference, err := lock(ctx, req.LockSeconds, req.Reference)
	cmd.LockSeconds, cmd.Reference = seconds, reference
	return cmd, cart.Invalid(cmd.Validate(), err, ifActive(req.IfActive, cmd.Status))
}

func listing(p oas.ListCartsByUserParams) (cart.Listing, error) {
	l := cart.Listing{
		UserID:    p.UserID,
		CompanyID: p.CompanyID.Or(0),
		Status:    cart.Status(p.Status.Or(0)),
		Limit:     p.Limit.Or(cart.DefaultListing),
		Offset:    p.Offset.Or(0),
	}
	if other := p.StatusParam.Or(0); other != 0 {
		status, err := cart.ParseStatus(int64(other))
		if err == nil && l.Status == 0 {
			l.Status = status
		}
		if err != nil || l.Status > 0 && l.Status != status {
			return l, cart.Invalid(l.Validate(), errStatusParam)
		}
	}
	return l, l.Validate()
}

// Errors of fields that the domain does not have, or checks differently.
var (
	errStatusParam = fieldError("status_param",
		"Must be 1 (ACTIVE), 2 (LOCKED), 3 (CHECKED_OUT) or 4 (CANCELLED), and the same as status where both are given.")
	errAnyProductID = fieldError("product_id", "Must be a whole number from -9223372036854775808 to 9223372036854775807.")
)

func fieldError(field, detail string) error {
	return cart.Invalid(&cart.Error{Code: cart.CodeInvalid, Fields: []cart.FieldError{{Field: field, Detail: detail}}})
}

// nameOf returns the decoded name, or "" if the body has half of a surrogate pair in it. The decoder replaces such a
// half by U+FFFD, which is valid in a name, so only the body can tell the two apart.
func nameOf(ctx context.Context, decoded string) string {
	if !strings.ContainsRune(decoded, utf8.RuneError) {
		return decoded
	}
	in := input{}
	if in.readBody(visitOf(ctx).request) != nil {
		return ""
	}
	return in.text("name")
}

// ownerOf returns the owner that a body names or, if it names none, the caller. The user takes precedence over the
// cookie, which must be valid all the same.
func ownerOf(ctx context.Context, userID oas.OptNilInt64, cookie oas.OptNilString) (cart.Owner, error) {
	user, isUser := userID.Get()
	guest, isGuest := cookie.Get()
	var err error
	if isGuest && !cart.ValidCookie(guest) {
		isGuest, err = false, cart.InvalidField("cookie")
	}
	switch {
	case isUser:
		return cart.Owner{UserID: user}, err
	case isGuest:
		return cart.Guest(guest), err
	default:
		return self(ctx), err
	}
}

// self returns the caller as an owner: the signed-in user, or else a guest.
func self(ctx context.Context) cart.Owner {
	if owner := auth.CallerOf(ctx).Owner; owner.UserID > 0 {
		return owner
	}
	return cart.Guest(visitOf(ctx).guest())
}
