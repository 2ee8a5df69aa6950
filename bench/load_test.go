//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestOpenLoopKeepsTheSchedule(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer server.Close()
	const connections, due = 4, 100
	o := openLoop{url: server.URL, request: postItem(10, 5), rate: 500, duration: due * time.Second / 500, connections: connections}
	sample, err := o.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if sample.Requests != due || asked.Load() != due+connections {
		t.Errorf("%d counted and %d sent, want %d, and one more for each connection", sample.Requests, asked.Load(), due)
	}
	if sample.Rate > 500 {
		t.Errorf("%.0f a second, which is ahead of the schedule", sample.Rate)
	}
}

// TestOpenLoopCountsWaiting has one connection to a server that takes four times the interval between two requests, so
// each request waits longer than the one before.
func TestOpenLoopCountsWaiting(t *testing.T) {
	t.Parallel()
	const takes = 8 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-time.After(takes) }))
	defer server.Close()
	o := openLoop{url: server.URL, request: getByID(10), rate: 500, duration: 20 * time.Second / 500, connections: 1}
	sample, err := o.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The last of 20 is due after 40 ms and answered after 160.
	if want := 110.0; sample.Max < want {
		t.Errorf("the largest latency is %.1f ms, want at least %.0f", sample.Max, want)
	}
}

func TestOpenLoopFailsWithAnAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	o := openLoop{url: server.URL, request: getByID(10), rate: 100, duration: time.Second, connections: 2}
	if sample, err := o.run(t.Context()); err == nil {
		t.Errorf("got %+v and no error", sample)
	}
}

func TestOpenLoopCountsRefusals(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%2 == 0 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	refused := &refusals{}
	o := openLoop{
		url: server.URL, request: getByID(10), rate: 1000, duration: time.Second / 10, connections: 2, refused: refused.add,
	}
	sample, err := o.run(t.Context())
	if err != nil || sample.Requests != 50 || len(refused.took) != 51 { // including the two that connect
		t.Errorf("%d served and %d refused, %v", sample.Requests, len(refused.took), err)
	}
}

// TestOpenLoopWantsRetryAfter has a service that refuses requests without Retry-After.
func TestOpenLoopWantsRetryAfter(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer server.Close()
	o := openLoop{
		url: server.URL, request: getByID(10), rate: 100, duration: time.Second, connections: 2, refused: new(refusals).add,
	}
	if sample, err := o.run(t.Context()); err == nil {
		t.Errorf("got %+v and no error", sample)
	}
}

func TestTogetherStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	failure := errors.New("failure")
	_, err := together(t.Context(), 3, func(ctx context.Context, i int) ([]time.Duration, error) {
		if i == 1 {
			return nil, failure
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want the failure", err)
	}
}

// shop is a server with the operations on carts that checkoutLoad uses.
type shop struct {
	t      *testing.T
	mu     sync.Mutex
	owners map[int64]bool
	steps  []int // requests served, by cart
	fail   string
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body struct {
		UserID int64 `json:"user_id"`
		Status int
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		s.t.Error(err)
	}
	var id int
	var rest string
	request := r.Method + " " + r.URL.Path
	if request != "POST /api/v1/cart/add-item" {
		if _, err := fmt.Sscanf(r.URL.Path, "/api/v1/cart/%d/%s", &id, &rest); err != nil {
			s.t.Error(err)
		}
	}
	switch {
	case rest == s.fail:
		http.Error(w, "no", http.StatusConflict)
		return
	case rest == "" && !s.owners[body.UserID]:
		s.owners[body.UserID] = true
		id = len(s.steps)
		s.steps = append(s.steps, 1)
	case r.Method == http.MethodPost && rest == "item" && s.steps[id] == 1,
		r.Method == http.MethodPut && rest == "status" && s.steps[id] == 2 && body.Status == 3:
		s.steps[id]++
	default:
		s.t.Errorf("%s of user %d out of turn", request, body.UserID)
	}
	fmt.Fprintf(w, `{"id":%d,"company_id":1}`, id)
}

func TestCheckoutLoad(t *testing.T) {
	t.Parallel()
	shop := &shop{t: t, owners: map[int64]bool{}, fail: "nothing"}
	server := httptest.NewServer(shop)
	defer server.Close()
	for range 2 { // the second run meets the carts of the first
		before := len(shop.steps)
		sample, err := checkoutLoad{url: server.URL, clients: 4, duration: 50 * time.Millisecond}.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if made := len(shop.steps) - before; sample.Requests != made || made == 0 {
			t.Errorf("%d counted, %d carts made", sample.Requests, made)
		}
	}
	for id, steps := range shop.steps {
		if steps != 3 {
			t.Errorf("cart %d saw %d requests, want 3", id, steps)
		}
	}
}

func TestCheckoutLoadFailsWithAnAnswer(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"", "item", "status"} {
		server := httptest.NewServer(&shop{t: t, owners: map[int64]bool{}, fail: step})
		defer server.Close()
		if sample, err := (checkoutLoad{url: server.URL, clients: 2, duration: time.Minute}).run(t.Context()); err == nil {
			t.Errorf("%q refused: got %+v and no error", step, sample)
		}
	}
}

// Within a pair, each side goes first as often as the other, on a database that was tidied just before.
func TestMeasureTurnsRound(t *testing.T) {
	t.Parallel()
	var did []string
	do := func(name string) step {
		return step{Key{Load: name}, func(context.Context) (Sample, error) {
			did = append(did, name)
			return Sample{}, nil
		}}
	}
	b := &bench{plan: Plan{Rounds: 4}, log: log.New(io.Discard, "", 0), results: &Results{}}
	err := b.measure(t.Context(), []step{do("ours"), do("theirs")}, func(context.Context) error {
		did = append(did, "tidy")
		return nil
	})
	const want = "tidy ours theirs tidy theirs ours tidy ours theirs tidy theirs ours"
	if got := strings.Join(did, " "); err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
