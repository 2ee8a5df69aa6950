package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

const day = 24 * time.Hour

// TestCookiesAreRenewed is about guests who come daily and change nothing.
func TestCookiesAreRenewed(t *testing.T) {
	for name, test := range map[string]struct {
		method, path, body, cookie string
		rested                     time.Duration
		renewed                    bool
	}{
		"a read of the active cart":    {"GET", activePath, "", "mine", day + time.Hour, true},
		"a read soon after":            {"GET", activePath, "", "mine", day - time.Hour, false},
		"the basket":                   {"GET", "/api/v1/basket", "", "mine", day + time.Hour, true},
		"the basket soon after":        {"GET", "/api/v1/basket", "", "mine", day - time.Hour, false},
		"a write":                      {"POST", "/api/v1/cart/upsert", `{"company_id":7}`, "mine", day + time.Hour, true},
		"a write soon after":           {"POST", "/api/v1/cart/upsert", `{"company_id":7}`, "mine", day - time.Hour, false},
		"a write to a new cart":        {"POST", "/api/v1/cart/upsert", `{"company_id":7}`, "mine", 0, false},
		"a write that names a guest":   {"POST", "/api/v1/cart/upsert", `{"company_id":7,"cookie":"another"}`, "mine", day + time.Hour, false},
		"a write that names a user":    {"POST", "/api/v1/cart/upsert", `{"company_id":7,"user_id":1}`, "mine", day + time.Hour, false},
		"a read that names a user":     {"GET", activePath + "&user_id=1", "", "mine", day + time.Hour, false},
		"a cookie of the body only":    {"POST", "/api/v1/cart/upsert", `{"company_id":7,"cookie":"mine"}`, "", day + time.Hour, false},
		"a write to a cart by its id":  {"PUT", "/api/v1/cart/9/status", `{"status":2}`, "mine", day + time.Hour, false},
		"a read of a cart by its id":   {"GET", "/api/v1/cart/9", "", "mine", day + time.Hour, false},
		"many changes of the own cart": {"POST", "/api/v1/cart/changes", `{"company_id":7,"changes":[{"op":"clear"}]}`, "mine", day + time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			carts := &fakeCarts{answer: stored()}
			if test.rested > 0 {
				carts.answer.UpdatedAt = time.Now().Add(-test.rested)
				carts.result.Found = carts.answer.UpdatedAt
			}
			header := []string{"Cookie", "sellio_cart=" + test.cookie}
			if test.cookie == "" {
				header = nil
			}
			got := send(t, start(t, newHandler(carts, quiet())), test.method, test.path, test.body, header...)
			set := got.header.Get("Set-Cookie")
			if renewed := strings.HasPrefix(set, "sellio_cart=mine; ") && strings.Contains(set, "Max-Age=2592000"); renewed != test.renewed {
				t.Errorf("status %d, Set-Cookie %q", got.status, set)
			}
		})
	}
}

func TestManyChangesTakeLargeBodies(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	body := func(size int) string {
		const head, tail = `{"company_id":7,"user_id":1,"changes":[{"op":"clear"}],"ignored":"`, `"}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	for _, path := range []string{"/api/v1/cart/9/changes", "/api/v1/cart/changes"} {
		if got := send(t, s, "POST", path, body(512<<10)); got.status/100 != 2 {
			t.Errorf("%s: 512 KiB are answered with %d: %.200s", path, got.status, got.body)
		}
		send(t, s, "POST", path, body(512<<10+1)).problem(t, http.StatusRequestEntityTooLarge)
	}
	send(t, s, "POST", "/api/v1/cart/add-item", body(64<<10+1)).problem(t, http.StatusRequestEntityTooLarge)
}

// TestProblemsHaveNames is about problems that programs tell apart.
func TestProblemsHaveNames(t *testing.T) {
	locked := stored()
	locked.Reference, locked.LockedUntil = "pay_1", time.Date(2026, 5, 1, 9, 30, 0, 0, time.UTC)
	for code, want := range map[cart.Code]struct {
		status int
		name   string
	}{
		cart.CodeVersionMismatch:   {http.StatusPreconditionFailed, "version-mismatch"},
		cart.CodeQuantityLimit:     {http.StatusConflict, "quantity-limit"},
		cart.CodeLocked:            {http.StatusConflict, "locked"},
		cart.CodeNotLocked:         {http.StatusConflict, "not-locked"},
		cart.CodeAlreadyCheckedOut: {http.StatusConflict, "already-checked-out"},
		cart.CodeKeyReused:         {http.StatusUnprocessableEntity, "idempotency-key-reused"},
		cart.CodeKeyMissing:        {http.StatusBadRequest, "idempotency-key-missing"},
	} {
		carts := &fakeCarts{err: &cart.Error{Code: code, Detail: "d", State: locked}}
		got := send(t, start(t, newHandler(carts, quiet())), "PUT", "/api/v1/cart/9/status", `{"status":2}`)
		if got.status != want.status || !strings.Contains(got.body, `"type":"urn:sellio-cart:problem:`+want.name+`"`) {
			t.Errorf("code %d: %d %s", code, got.status, got.body)
		}
		if tag := got.header.Get("ETag"); (tag != "") != (code == cart.CodeVersionMismatch) {
			t.Errorf("code %d: ETag %q", code, tag)
		}
		if shown := strings.Contains(got.body, `"reference":"pay_1"`); shown == (code == cart.CodeVersionMismatch) {
			t.Errorf("code %d: %s", code, got.body)
		}
	}
}
