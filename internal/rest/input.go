package rest

import (
	"encoding/json"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// optText returns a text that may be absent. One that is not valid text becomes "", which is refused in every field.
func (in input) optText(name string) oas.OptString {
	if _, ok := in[name]; !ok {
		return oas.OptString{}
	}
	return oas.NewOptString(in.text(name))
}

// optInteger returns a number that may be absent, or unreadable if it is not an int64.
func (in input) optInteger(name string, unreadable int64) oas.OptInt64 {
	if _, ok := in[name]; !ok {
		return oas.OptInt64{}
	}
	return oas.NewOptInt64(in.integer(name, unreadable))
}

// attributes returns attributes that may be absent. If they are not an object of texts, they become some that the rules
// refuse.
func (in input) attributes() oas.OptAttributes {
	raw, ok := in["attributes"]
	if !ok {
		return oas.OptAttributes{}
	}
	refused := oas.NewOptAttributes(oas.Attributes{"": ""})
	var values map[string]*string
	if hasHalf(raw) || json.Unmarshal(raw, &values) != nil || values == nil {
		return refused
	}
	all := make(oas.Attributes, len(values))
	for name, value := range values {
		if value == nil {
			return refused
		}
		all[name] = *value
	}
	return oas.NewOptAttributes(all)
}

// list returns the objects in a field that may be absent, each as an input. One that is not an object becomes empty. The error
// is about the field, if it is not a list.
func (in input) list(name string) ([]input, error) {
	raw, ok := in[name]
	if !ok {
		return nil, nil
	}
	var parts []json.RawMessage
	if json.Unmarshal(raw, &parts) != nil || parts == nil {
		return nil, cart.InvalidField(name)
	}
	list := make([]input, len(parts))
	for i, part := range parts {
		if json.Unmarshal(part, &list[i]) != nil {
			list[i] = input{}
		}
	}
	return list, nil
}

// changes returns the changes of a body.
func (in input) changes() ([]oas.ItemChange, error) {
	list, err := in.list("changes")
	changes := make([]oas.ItemChange, len(list))
	for i, in := range list {
		changes[i] = oas.ItemChange{
			Op: in.text("op"), ProductID: in.optInteger("product_id", 0), Name: in.optText("name"), Price: in.optText("price"),
			Quantity: in.optInteger("quantity", cart.MaxQuantity+1), By: in.optInteger("by", 0),
			IfPresent: in.optText("if_present"), Attributes: in.attributes(),
		}
	}
	return changes, err
}

// carts returns the carts of a body about several.
func (in input) carts() ([]oas.StatusesRequestCartsItem, error) {
	list, err := in.list("carts")
	carts := make([]oas.StatusesRequestCartsItem, len(list))
	for i, in := range list {
		carts[i] = oas.StatusesRequestCartsItem{ID: in.integer("id", 0), Version: in.optInteger("version", -1)}
	}
	return carts, err
}
