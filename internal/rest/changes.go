package rest

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// ifActiveMerge is the value of if_active that merges carts.
const ifActiveMerge = "merge"

// ops are the operations of changes by their names.
var ops = map[string]cart.Op{
	"put": cart.OpPut, "set": cart.OpSet, "change": cart.OpChange, "remove": cart.OpRemove, "clear": cart.OpClear,
}

func changeQuantity(req *oas.ByRequest, p oas.ChangeQuantityParams) (cart.ChangeQuantity, error) {
	cmd := cart.ChangeQuantity{CartID: p.CartID, ProductID: p.ProductID, By: req.By}
	return cmd, cmd.Validate()
}

func changeItems(ctx context.Context, req *oas.ChangesRequest, p oas.ChangeItemsParams) (cart.ChangeItems, error) {
	changes, changesErr := itemChanges(ctx, req.Changes)
	attributes, attributesErr := attributes(ctx, req.Attributes)
	cmd := cart.ChangeItems{CartID: p.CartID, Changes: changes, Attributes: attributes}
	return cmd, cart.Invalid(cmd.Validate(), changesErr, attributesErr)
}

func changeActiveItems(ctx context.Context, req *oas.ActiveChangesRequest) (cart.ChangeItems, error) {
	owner, ownerErr := ownerOf(ctx, req.UserID, req.Cookie)
	changes, changesErr := itemChanges(ctx, req.Changes)
	attributes, attributesErr := attributes(ctx, req.Attributes)
	cmd := cart.ChangeItems{CompanyID: req.CompanyID, Owner: owner, Changes: changes, Attributes: attributes}
	return cmd, cart.Invalid(cmd.Validate(), ownerErr, changesErr, attributesErr)
}

// itemChanges converts the changes. The command checks what this does not.
func itemChanges(ctx context.Context, list []oas.ItemChange) ([]cart.ItemChange, error) {
	changes := make([]cart.ItemChange, len(list))
	var errs []error
	for i := range list {
		var err error
		if changes[i], err = itemChange(ctx, &list[i]); err != nil && i < cart.MaxChanges {
			errs = append(errs, cart.Within(fmt.Sprintf("changes[%d]", i), err))
		}
	}
	return changes, cart.Invalid(errs...)
}

func itemChange(ctx context.Context, from *oas.ItemChange) (cart.ItemChange, error) {
	to := cart.ItemChange{
		Op:   ops[from.Op],
		Item: cart.Item{ProductID: from.ProductID.Value, Quantity: from.Quantity.Value},
		By:   from.By.Value,
	}
	if to.Op == cart.OpSet && !from.Quantity.Set {
		to.Item.Quantity = cart.MaxQuantity + 1 // so that it is refused
	}
	if to.Op != cart.OpPut {
		return to, nil
	}
	to.Item.Name = from.Name.Value
	if strings.ContainsRune(to.Item.Name, utf8.RuneError) && bodyHasHalf(ctx) {
		to.Item.Name = ""
	}
	var priceErr, presentErr, attributesErr error
	to.Item.Price, priceErr = cart.ParsePrice(from.Price.Value)
	to.Add, presentErr = ifPresent(from.IfPresent)
	to.Attributes, attributesErr = attributes(ctx, from.Attributes)
	return to, cart.Invalid(priceErr, presentErr, attributesErr)
}

// ifPresent reports whether a quantity is to be added.
func ifPresent(o oas.OptString) (add bool, err error) {
	switch {
	case !o.Set, o.Value == "replace":
		return false, nil
	case o.Value == "add":
		return true, nil
	default:
		return false, cart.InvalidField("if_present")
	}
}

// attributes returns nil where there is no such field. The command checks their limits.
func attributes(ctx context.Context, o oas.OptAttributes) (*cart.Attributes, error) {
	if !o.Set {
		return nil, nil //nolint:nilnil // no attributes
	}
	for name, value := range o.Value {
		if strings.ContainsRune(name+value, utf8.RuneError) && bodyHasHalf(ctx) {
			return nil, cart.InvalidField("attributes")
		}
	}
	a := cart.NewAttributes(o.Value)
	return &a, nil
}

// bodyHasHalf reports whether the body has half of a surrogate pair in it; see nameOf.
func bodyHasHalf(ctx context.Context) bool {
	body, err := bodyOf(visitOf(ctx).request)
	return err != nil || hasHalf(body)
}

// lock returns the terms of a lock. A value that is given and empty is refused, unlike one that is absent.
func lock(ctx context.Context, seconds oas.OptInt64, reference oas.OptString) (lockSeconds int64, name string, err error) {
	lockSeconds = seconds.Value
	if seconds.Set && lockSeconds == 0 {
		lockSeconds = -1
	}
	if reference.Set && (reference.Value == "" || strings.ContainsRune(reference.Value, utf8.RuneError) && bodyHasHalf(ctx)) {
		return lockSeconds, "", cart.InvalidField("reference")
	}
	return lockSeconds, reference.Value, nil
}

func ifActive(o oas.OptString, status cart.Status) error {
	if !o.Set || status == cart.Active && (o.Value == "refuse" || o.Value == ifActiveMerge) {
		return nil
	}
	return cart.InvalidField("if_active")
}

// release returns the request that moves one cart on and merges it where another one is in the way.
func release(ctx context.Context, req *oas.StatusRequest, p oas.SetStatusParams) (cart.Request, error) {
	plain, err := setStatus(ctx, req, p)
	joint := cart.SetStatuses{
		Carts: []cart.Expected{{ID: p.CartID}}, Status: cart.Status(req.Status), Merge: true, Alone: true,
	}
	if err == nil {
		err = plain.Validate()
	}
	return cart.Request{Joint: joint}, err
}

func setStatuses(ctx context.Context, req *oas.StatusesRequest) (cart.SetStatuses, error) {
	joint := cart.SetStatuses{Status: cart.Status(req.Status), Merge: req.IfActive.Value == ifActiveMerge}
	seconds, reference, err := lock(ctx, req.LockSeconds, req.Reference)
	joint.LockSeconds, joint.Reference = seconds, reference
	activeErr := ifActive(req.IfActive, joint.Status)
	if activeErr != nil {
		joint.Merge = false // the error names the field already
	}
	for _, c := range req.Carts {
		version := c.Version.Value
		if c.Version.Set && version == 0 {
			version = -1
		}
		joint.Carts = append(joint.Carts, cart.Expected{ID: c.ID, Version: version})
	}
	return joint, cart.Invalid(joint.Validate(), err, activeErr)
}

// merge returns the merge as the body has it. The handler fills in what it lacks.
func merge(req *oas.MergeRequest, policy cart.MergePolicy) (m cart.Merge, err error) {
	m = cart.Merge{UserID: req.UserID.Or(0), Cookie: req.Cookie.Or(""), Policy: policy, CompanyID: req.CompanyID.Or(0)}
	if req.Policy.Set {
		if m.Policy, err = cart.ParseMergePolicy(req.Policy.Value); err != nil {
			m.Policy = policy
		}
	}
	return m, err
}
