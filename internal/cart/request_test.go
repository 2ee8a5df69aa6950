package cart

import (
	"encoding/hex"
	"testing"
)

// TestFingerprintsStay has the fingerprints of this format. Where one changes, fingerprintFormat must change too, or requests that
// are repeated during an upgrade are taken for others.
func TestFingerprintsStay(t *testing.T) {
	notes := NewAttributes(map[string]string{"gift": "yes"})
	for want, r := range map[string]Request{
		"upsert":  Do(Upsert{CompanyID: 1, Owner: User(2)}),
		"add":     Do(AddItem{CompanyID: 1, Owner: Guest("g"), Item: Item{ProductID: 3, Name: "n", Price: 4, Quantity: 5}, Add: true, Attributes: &notes}),
		"put":     Do(PutItem{CartID: 1, Item: Item{ProductID: 3, Name: "n", Price: 4, Quantity: 5}}),
		"set":     Do(SetQuantity{CartID: 1, ProductID: 2, Quantity: 3}),
		"change":  Do(ChangeQuantity{CartID: 1, ProductID: 2, By: -3}),
		"remove":  Do(RemoveItem{CartID: 1, ProductID: 2}),
		"many":    Do(ChangeItems{CartID: 1, Changes: []ItemChange{{Op: OpClear}, {Op: OpPut, Item: Item{ProductID: 1, Name: "n", Price: 1, Quantity: 1}}}, Attributes: &notes}),
		"status":  Do(SetStatus{CartID: 1, Status: Locked, LockSeconds: 60, Reference: "p"}),
		"several": {Joint: SetStatuses{Carts: []Expected{{ID: 1, Version: 2}, {ID: 3}}, Status: CheckedOut, Reference: "p"}},
	} {
		if got := hex.EncodeToString(r.Fingerprint()); got != fingerprints[want] {
			t.Errorf("%q: %q,", want, got)
		}
	}
}

func TestFingerprintsTellRequestsApart(t *testing.T) {
	empty := NewAttributes(nil)
	item := Item{ProductID: 3, Name: "n", Price: 4, Quantity: 5}
	seen := make(map[string]int)
	for i, r := range []Request{
		Do(AddItem{CompanyID: 1, Owner: User(2), Item: item}), Do(AddItem{CompanyID: 1, Owner: User(2), Item: item, Add: true}),
		Do(AddItem{CompanyID: 1, Owner: User(2), Item: item, Attributes: &empty}), Do(AddItem{CompanyID: 1, Owner: User(3), Item: item}),
		Do(PutItem{CartID: 1, Item: item}), Do(SetQuantity{CartID: 1, ProductID: 2, Quantity: 3}), Do(ChangeQuantity{CartID: 1, ProductID: 2, By: 3}),
	} {
		print := string(r.Fingerprint())
		if other, same := seen[print]; same {
			t.Errorf("requests %d and %d look the same", other, i)
		}
		seen[print] = i
	}
}

func TestVersionsAreNoPartOfAFingerprint(t *testing.T) {
	plain := Do(SetStatus{CartID: 1, Status: Locked})
	conditional := plain
	conditional.Match, conditional.Key = &Match{Tags: []Tag{{1, 2}}}, "k"
	if string(plain.Fingerprint()) != string(conditional.Fingerprint()) {
		t.Error("a condition changes the fingerprint")
	}
}

func TestScopeOfAKeyIsWhatTheRequestNames(t *testing.T) {
	key := func(r Request) [32]byte { r.Key = "k"; return r.ReceiptKey() }
	byID, byOwner := key(Do(RemoveItem{CartID: 1, ProductID: 2})), key(Do(Upsert{CompanyID: 1, Owner: User(2)}))
	if byID != key(Do(SetQuantity{CartID: 1, ProductID: 9, Quantity: 1})) {
		t.Error("another request for the cart has another scope")
	}
	others := []Request{
		Do(RemoveItem{CartID: 2, ProductID: 2}), Do(Upsert{CompanyID: 1, Owner: User(3)}), Do(Upsert{CompanyID: 2, Owner: User(2)}),
		Do(Upsert{CompanyID: 1, Owner: Guest("2")}), {Joint: SetStatuses{Carts: []Expected{{ID: 1}, {ID: 2}}}},
	}
	for i, r := range others {
		if k := key(r); k == byID || k == byOwner {
			t.Errorf("request %d shares a scope with another cart", i)
		}
	}
	if key(others[4]) != key(Request{Joint: SetStatuses{Carts: []Expected{{ID: 2}, {ID: 1}}}}) {
		t.Error("the order of several carts is part of the scope")
	}
}

func TestOtherFormatsAreNotCompared(t *testing.T) {
	r := Do(RemoveItem{CartID: 1, ProductID: 2})
	for format, want := range map[byte]Code{fingerprintFormat: CodeKeyReused, fingerprintFormat + 1: CodeNone} {
		if err := r.CheckRepeated(&Receipt{Fingerprint: []byte{format, 1, 2, 3}}); CodeOf(err) != want {
			t.Errorf("format %d: %v", format, err)
		}
	}
}

func TestAdditionsNeedAKeyOrAVersion(t *testing.T) {
	add := Do(ChangeQuantity{CartID: 1, ProductID: 2, By: 1})
	any, named := &Match{}, &Match{Tags: []Tag{{1, 2}}}
	for name, tt := range map[string]struct {
		change func(*Request)
		want   Code
	}{
		"neither":   {func(*Request) {}, CodeKeyMissing},
		"a key":     {func(r *Request) { r.Key = "k" }, CodeNone},
		"a version": {func(r *Request) { r.Match = named }, CodeNone},
		"any cart":  {func(r *Request) { r.Match = any }, CodeKeyMissing},
	} {
		r := add
		tt.change(&r)
		if err := r.Validate(); CodeOf(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, cmd := range []Command{
		AddItem{CompanyID: 1, Owner: User(1), Item: Item{ProductID: 1, Name: "n", Quantity: 1}, Add: true},
		PutItem{CartID: 1, Item: Item{ProductID: 1, Name: "n", Quantity: 1}, Add: true},
		ChangeItems{CartID: 1, Changes: []ItemChange{{Op: OpChange, Item: Item{ProductID: 1}, By: 1}}},
	} {
		r := Do(cmd)
		if err := r.Validate(); CodeOf(err) != CodeKeyMissing {
			t.Errorf("%T: %v", cmd, err)
		}
	}
}

var fingerprints = map[string]string{
	"upsert":  "014d18414969a7bcd5358f30def6f0ed38",
	"add":     "01c1c26ecfe2ebc80ec1049805b11a1f91",
	"put":     "01875bee02f77376937fbf0b8b56944203",
	"set":     "01ad172835a48d49e38d2c53bd200375e6",
	"change":  "014745c938edea78bd8162a2c98e9e3c49",
	"remove":  "017500bc287588c89d7399f8cfdab55aeb",
	"many":    "0183aea8826909a4d0f922a15e63c31a77",
	"status":  "01197815a5642fccb482a0996e586f25db",
	"several": "0118e8c8ce77c55a27b3129d87c32ddf3f",
}
