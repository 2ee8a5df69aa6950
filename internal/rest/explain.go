package rest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ogen-go/ogen/ogenerrors"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

const jsonType = "application/json"

// errNoObject is the error for a body that is JSON but not an object.
var errNoObject = &cart.Error{
	Code:   cart.CodeInvalid,
	Detail: "The request is not valid: the body must be a JSON object.",
	Fields: []cart.FieldError{{Field: "body", Detail: "Must be a JSON object."}},
}

// explain returns an error that names every invalid field of a request that the generated code refused. That
// code stops at the first one, so explain reads the request again, leniently.
func (s *server) explain(ctx context.Context, r *http.Request, refused ogenerrors.Error) error {
	in, err := s.read(r)
	if err != nil {
		return err
	}
	if check, ok := checks[refused.OperationName()]; ok {
		if err := check(ctx, in); err != nil {
			return err
		}
	}
	// The checks miss some errors, such as a repeated parameter. The decoder still gives the parameter's name.
	if param, ok := errors.AsType[*ogenerrors.DecodeParamError](refused); ok {
		return cart.InvalidField(param.Name)
	}
	return errNoObject
}

// read returns the values of the path, and of the body or else the query. It fails if the body is no JSON object.
func (s *server) read(r *http.Request) (input, error) {
	in := input{}
	if takesBody(r) {
		if err := in.readBody(r); err != nil {
			return nil, err
		}
	} else {
		for name, values := range r.URL.Query() {
			in[name] = json.RawMessage(values[0])
		}
	}
	if route, ok := s.routes.FindPath(r.Method, r.URL); ok {
		values := route.Args()
		for part := range strings.SplitSeq(route.PathPattern(), "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				in[strings.TrimSuffix(name, "}")] = json.RawMessage(values[0])
				values = values[1:]
			}
		}
	}
	return in, nil
}

// takesBody reports whether the operation has a body. All POST and PUT operations do.
func takesBody(r *http.Request) bool {
	return r.Method == http.MethodPost || r.Method == http.MethodPut
}

// input is a refused request: the raw value of each field.
type input map[string]json.RawMessage

// readBody reads the fields of the body. The generated code restores the body after reading it.
func (in *input) readBody(r *http.Request) error {
	body, err := bodyOf(r)
	if err != nil {
		return err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != jsonType {
		return errType
	}
	if !json.Valid(body) {
		return errNotJSON
	}
	if json.Unmarshal(body, in) != nil || *in == nil {
		return errNoObject
	}
	return nil
}

// bodyOf reads a body that is not empty.
func bodyOf(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if tooMuch, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(tooMuch.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errTooSlow
	}
	if err != nil || len(body) == 0 {
		return nil, errNotJSON
	}
	return body, nil
}

// checks find the invalid fields, by operation. They replace a value that cannot be parsed by one that the
// rules refuse.
var checks = map[oas.OperationName]func(context.Context, input) error{
	oas.GetActiveCartOperation: func(ctx context.Context, in input) error {
		_, err := upsert(ctx, &oas.UpsertRequest{CompanyID: in.integer("company_id", 0), UserID: in.userID()})
		return err
	},
	oas.ListCartsByUserOperation: func(_ context.Context, in input) error {
		_, err := listing(oas.ListCartsByUserParams{
			UserID:    in.integer("user_id", 0),
			CompanyID: oas.NewOptInt64(in.filter("company_id")),
			Status:    oas.NewOptInt32(in.status(in.filter("status"))),
			Limit:     oas.NewOptInt64(in.orElse("limit", cart.DefaultListing, 0)),
			Offset:    oas.NewOptInt64(in.orElse("offset", 0, -1)),

			StatusParam: oas.NewOptInt32(in.status(in.filter("status_param"))),
		})
		return err
	},
	oas.ListCartsByIDsOperation: func(context.Context, input) error {
		return cart.InvalidField("ids") // There is no other field.
	},
	oas.UpsertCartOperation: func(ctx context.Context, in input) error {
		_, err := upsert(ctx, &oas.UpsertRequest{
			CompanyID: in.integer("company_id", 0), UserID: in.userID(), Cookie: in.cookie(),
		})
		return err
	},
	oas.AddItemOperation: func(ctx context.Context, in input) error {
		item := in.item()
		_, err := addItem(ctx, &oas.AddItemRequest{
			CompanyID: in.integer("company_id", 0), UserID: in.userID(), Cookie: in.cookie(),
			ProductID: item.ProductID, Name: item.Name, Price: item.Price, Quantity: item.Quantity,
			IfPresent: item.IfPresent, Attributes: item.Attributes,
		})
		return err
	},
	oas.PutItemOperation: func(ctx context.Context, in input) error {
		item := in.item()
		_, err := putItem(ctx, &item, oas.PutItemParams{CartID: in.integer("cart_id", 0)})
		return err
	},
	oas.SetQuantityOperation: func(_ context.Context, in input) error {
		_, err := setQuantity(&oas.QuantityRequest{Quantity: in.integer("quantity", cart.MaxQuantity+1)}, oas.SetQuantityParams{CartID: 1})
		return cart.Invalid(in.line(), err)
	},
	oas.RemoveItemOperation: func(_ context.Context, in input) error {
		return in.line()
	},
	oas.SetStatusOperation: func(ctx context.Context, in input) error {
		_, err := setStatus(ctx, &oas.StatusRequest{
			Status: in.status(in.integer("status", 0)), LockSeconds: in.optInteger("lock_seconds", -1),
			Reference: in.optText("reference"), IfActive: in.optText("if_active"),
		}, oas.SetStatusParams{CartID: in.integer("cart_id", 0)})
		return err
	},
	oas.ChangeQuantityOperation: func(_ context.Context, in input) error {
		_, err := changeQuantity(&oas.ByRequest{By: in.integer("by", 0)}, oas.ChangeQuantityParams{CartID: 1})
		return cart.Invalid(in.line(), err)
	},
	oas.ChangeItemsOperation: func(ctx context.Context, in input) error {
		changes, err := in.changes()
		_, invalid := changeItems(ctx, &oas.ChangesRequest{Changes: changes, Attributes: in.attributes()},
			oas.ChangeItemsParams{CartID: in.integer("cart_id", 0)})
		return cmp.Or(err, invalid)
	},
	oas.ChangeActiveItemsOperation: func(ctx context.Context, in input) error {
		changes, err := in.changes()
		_, invalid := changeActiveItems(ctx, &oas.ActiveChangesRequest{
			CompanyID: in.integer("company_id", 0), UserID: in.userID(), Cookie: in.cookie(),
			Changes: changes, Attributes: in.attributes(),
		})
		return cmp.Or(err, invalid)
	},
	oas.GetBasketOperation: func(ctx context.Context, in input) error {
		q := basketQuery(oas.GetBasketParams{
			Status: oas.NewOptInt32(in.status(in.orElse("status", 1, -1))), Before: oas.NewOptInt64(in.orElse("before", 0, -1)),
		})
		var err error
		q.Owner, err = ownerOf(ctx, in.userID(), oas.OptNilString{})
		return cart.Invalid(err, q.Validate())
	},
	oas.SetStatusesOperation: func(ctx context.Context, in input) error {
		carts, err := in.carts()
		_, invalid := setStatuses(ctx, &oas.StatusesRequest{
			Status: in.status(in.integer("status", 0)), LockSeconds: in.optInteger("lock_seconds", -1),
			Reference: in.optText("reference"), IfActive: in.optText("if_active"), Carts: carts,
		})
		return cmp.Or(err, invalid)
	},
	oas.MergeCartsOperation: func(_ context.Context, in input) error {
		m, err := merge(&oas.MergeRequest{UserID: in.userID(), Cookie: in.cookie(), Policy: in.optText("policy")}, cart.MergeMax)
		if in.given("company_id") {
			m.CompanyID = in.filter("company_id")
		}
		if !in.given("user_id") {
			m.UserID = 1 // the handler knows
		}
		if in.given("cookie") && m.Cookie == "" {
			err = cart.Invalid(err, cart.InvalidField("cookie"))
		}
		return cart.Invalid(m.Validate(), err)
	},
}

// line checks the path of a line. Its product_id may be any int64.
func (in input) line() error {
	_, err := removeItem(oas.RemoveItemParams{CartID: in.integer("cart_id", 0)})
	if _, unreadable := strconv.ParseInt(string(in["product_id"]), 10, 64); unreadable != nil {
		return cart.Invalid(err, errAnyProductID)
	}
	return err
}

// integer returns the number in a field, or unreadable if it is not an int64.
func (in input) integer(name string, unreadable int64) int64 {
	n, err := strconv.ParseInt(string(in[name]), 10, 64)
	if err != nil {
		return unreadable
	}
	return n
}

// orElse is integer for a field that may be absent.
func (in input) orElse(name string, absent, unreadable int64) int64 {
	if _, ok := in[name]; !ok {
		return absent
	}
	return in.integer(name, unreadable)
}

// filter returns an optional id or status: 0 if it is absent, and -1 if it is not a positive number.
func (in input) filter(name string) int64 {
	if n := in.orElse(name, 0, -1); n > 0 || in[name] == nil {
		return n
	}
	return -1
}

// status narrows any number to an int32, and keeps an invalid status invalid.
func (in input) status(n int64) int32 {
	return int32(max(-1, min(n, int64(cart.Cancelled)+1)))
}

// text returns the string in a field, or "", which is invalid in every field, if it is not valid text.
func (in input) text(name string) string {
	var s string
	if !utf8.Valid(in[name]) || hasHalf(in[name]) || json.Unmarshal(in[name], &s) != nil {
		return ""
	}
	return s
}

// hasHalf reports whether a JSON string escapes half of a surrogate pair, which is not a character.
func hasHalf(raw []byte) bool {
	escaped := func(at int) rune { // 0 if there is no \u
		if at+6 > len(raw) || raw[at] != '\\' || raw[at+1] != 'u' {
			return 0
		}
		n, err := strconv.ParseUint(string(raw[at+2:at+6]), 16, 16)
		if err != nil {
			return 0
		}
		return rune(n)
	}
	for at := 0; at < len(raw); at++ {
		if raw[at] != '\\' {
			continue
		}
		first := escaped(at)
		if !utf16.IsSurrogate(first) {
			at++ // skip the escaped character: it may be a backslash
			continue
		}
		if utf16.DecodeRune(first, escaped(at+6)) == utf8.RuneError {
			return true
		}
		at += 11
	}
	return false
}

// given reports whether a field is present and not null.
func (in input) given(name string) bool {
	raw, ok := in[name]
	return ok && string(raw) != "null"
}

func (in input) userID() oas.OptNilInt64 {
	if !in.given("user_id") {
		return oas.OptNilInt64{}
	}
	return oas.NewOptNilInt64(in.filter("user_id"))
}

func (in input) cookie() oas.OptNilString {
	if !in.given("cookie") {
		return oas.OptNilString{}
	}
	return oas.NewOptNilString(in.text("cookie"))
}

func (in input) item() oas.ItemRequest {
	return oas.ItemRequest{
		ProductID: in.integer("product_id", 0),
		Name:      in.text("name"),
		Price:     in.text("price"),
		Quantity:  in.integer("quantity", 0),

		IfPresent:  in.optText("if_present"),
		Attributes: in.attributes(),
	}
}
