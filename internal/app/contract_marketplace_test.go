package app

import (
	"flag"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// marketplaceFile has the form of the recorded sets. Each exchange is named after what it shows of versions, keys, changes,
// merges, statuses and baskets. Its answers were checked by hand.
const marketplaceFile = "testdata/marketplace/contract.txt"

var write = flag.Bool("write", false, "write today's answers to "+marketplaceFile+"; read the difference, each line of it")

// TestMarketplace sends the requests of marketplaceFile, one after another, over REST and gRPC.
func TestMarketplace(t *testing.T) {
	t.Parallel()
	headers := append([]string{"Etag", "Idempotency-Replayed"}, oldHeaders[3:]...)
	exchanges := readRecorded(t, marketplaceFile)
	if *write {
		r := replay{shop: openShop(t, serve(t, "DATABASE_URL=sqlite:"+t.TempDir()+"/cart.db")), headers: headers}
		for i := range exchanges {
			exchanges[i].then = r.ask(exchanges[i].request)
		}
		writeRecorded(t, marketplaceFile, exchanges)
		return
	}
	onBoth(t, func(t *testing.T, url string) { replayAll(t, url, exchanges, headers) })
}

// TestTwinsHaveOneEffect sends one keyed request 64 times at once, through two services and both transports.
func TestTwinsHaveOneEffect(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		shops := twoShops(t, url)
		for name, request := range map[string]struct {
			body string
			rpc  *cartv1.AddItemRequest
		}{
			"that makes a cart": {
				`{"company_id": 1, "user_id": 5, "product_id": 1, "name": "x", "price": "1", "quantity": 2, "if_present": "add"}`,
				&cartv1.AddItemRequest{
					CompanyId: 1, UserId: 5, ProductId: 1, Name: "x", Price: "1", Quantity: 2,
					IfPresent: cartv1.IfPresent_IF_PRESENT_ADD, IdempotencyKey: "first",
				},
			},
			"that adds": {
				`{"company_id": 2, "user_id": 5, "product_id": 1, "name": "x", "price": "1", "quantity": 3, "if_present": "add"}`,
				&cartv1.AddItemRequest{
					CompanyId: 2, UserId: 5, ProductId: 1, Name: "x", Price: "1", Quantity: 3,
					IfPresent: cartv1.IfPresent_IF_PRESENT_ADD, IdempotencyKey: "second",
				},
			},
		} {
			var successes, replays atomic.Int64
			each(64, 64, func(n int64) {
				s := shops[n%2]
				if n%4 < 2 {
					a := s.send(http.MethodPost, addItem, request.body, "Content-Type", "application/json", "Idempotency-Key", request.rpc.GetIdempotencyKey())
					if a.status == http.StatusCreated {
						successes.Add(1)
					}
					if a.header.Get("Idempotency-Replayed") == "true" {
						replays.Add(1)
					}
					return
				}
				done, err := s.rpc.AddItem(t.Context(), request.rpc)
				if err == nil {
					successes.Add(1)
				}
				if done.GetReplayed() {
					replays.Add(1)
				}
			})
			if successes.Load() != 64 || replays.Load() != 63 {
				t.Errorf("%s: %d successes and %d replays, want 64 and 63", name, successes.Load(), replays.Load())
			}
			got := shops[0].get("/api/v1/cart/active?company_id=%d&user_id=5", request.rpc.GetCompanyId()).cart(http.StatusOK)
			if len(got.Items) != 1 || got.Items[0].Quantity != int64(request.rpc.GetQuantity()) || got.Version != 1 {
				t.Errorf("%s: the cart is %+v, want one effect", name, got)
			}
		}
	})
}

// TestKeysOfNewGuests shows that a key belongs to the guest whose cookie the answer sets: a guest without a cookie has no
// scope that outlives a lost answer.
func TestKeysOfNewGuests(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := openShop(t, serve(t, "DATABASE_URL="+url))
		body := `{"company_id": 1, "product_id": 1, "name": "x", "price": "1", "quantity": 1, "if_present": "add"}`
		send := func(header ...string) answer {
			return s.send(http.MethodPost, addItem, body, append(header, "Content-Type", "application/json", "Idempotency-Key", "k")...)
		}
		first := send()
		cookie, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
		if again := send("Cookie", cookie); again.header.Get("Idempotency-Replayed") != "true" || string(again.body) != string(first.body) {
			t.Errorf("with its cookie the repetition is answered with %v\n%s", again.header, again.body)
		}
		if other := send(); other.header.Get("Idempotency-Replayed") != "" || string(other.body) == string(first.body) {
			t.Errorf("without it, with %v\n%s", other.header, other.body)
		}
	})
}
