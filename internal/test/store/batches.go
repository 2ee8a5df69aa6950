package storetest

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
)

var batchCases = []testCase[cart.Store]{
	{"model in batches", runBatches},
	{"model of requests in batches", runRequestBatches},
}

// runRequestBatches is runRequests with several requests in one batch.
func runRequestBatches(t *testing.T, db Database[cart.Store]) {
	g := &gate{Store: db.Open(t)}
	s := oneLane(t, g)
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, rt, s, runs.Add(1)*1000)
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			requests := w.batch(rt)
			reals := make([]cart.Request, len(requests))
			for i, r := range requests {
				reals[i] = w.toReal(r)
			}
			w.check(t, rt, requests, g.together(t, s, reals))
		}
		w.compare(t, rt, s)
	})
}

// batch draws the requests of a batch. One that may be put off to the next batch, since it finds that it needs another cart, or
// a cart that the batch is yet to make, comes last.
func (w *world) batch(rt *rapid.T) []cart.Request {
	var batch []cart.Request
	for range rapid.IntRange(1, 8).Draw(rt, "batch") {
		r := w.request(rt)
		batch = append(batch, r)
		if s, ok := r.Joint.(cart.SetStatuses); r.Joint != nil && (!ok || s.Merge) {
			break
		}
	}
	return batch
}

// runBatches gives random commands to group commit, several in one batch and so in one Save, and compares each answer and
// all carts with those of the model, which takes one command after another.
func runBatches(t *testing.T, db Database[cart.Store]) {
	g := &gate{Store: db.Open(t)}
	s := oneLane(t, g)
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(runs.Add(1) * 100)
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			commands := rapid.SliceOfN(rapid.Custom(m.command), 1, 10).Draw(rt, "batch")
			requests := make([]cart.Request, len(commands))
			for i, cmd := range commands {
				requests[i] = cart.Do(cmd)
			}
			outcomes := make([]outcome, len(commands))
			for i, a := range g.together(t, s, requests) {
				outcomes[i] = outcome{a.result.Cart, a.err}
			}
			m.check(rt, commands, outcomes)
			m.compareCarts(t, rt, s)
		}
		m.compareActive(t, rt, s)
		m.compareLists(t, rt, s)
	})
}

// gate is a store that holds up loads of the cart nobodys while it is shut.
type gate struct {
	cart.Store
	reached, shut chan struct{} // closed when a load waits, and to let it go on
}

// nobodys names the cart of the command that waits at the gate.
const nobodys = 1<<62 + 1

// Load implements [cart.Store].
func (g *gate) Load(ctx context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	if refs[0].ID == nobodys {
		close(g.reached)
		<-g.shut
	}
	return g.Store.Load(ctx, refs)
}

// oneLane returns a service that runs all requests in one lane.
func oneLane(t *testing.T, store cart.Store) *commit.Service {
	s := commit.New(store, commit.Options{
		WriteLanes: 1, ReadLanes: 1, BatchSize: 64, QueueSize: 64, Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// together runs the requests as one batch, in their order: while the lane waits at the gate, they queue up one by one.
func (g *gate) together(t *testing.T, s *commit.Service, requests []cart.Request) []answer {
	g.reached, g.shut = make(chan struct{}), make(chan struct{})
	answers := make([]answer, len(requests))
	var ended sync.WaitGroup
	run := func(r cart.Request, a *answer) {
		ended.Go(func() { a.result, a.err = s.Do(t.Context(), r) })
	}
	var first answer
	run(cart.Do(cart.RemoveItem{CartID: nobodys, ProductID: 1}), &first)
	<-g.reached
	for i, r := range requests {
		run(r, &answers[i])
		for waiting := 0; waiting <= i; waiting, _ = s.Waiting(commit.Writes) {
			runtime.Gosched()
		}
	}
	close(g.shut)
	ended.Wait()
	if cart.CodeOf(first.err) != cart.CodeNotFound {
		t.Errorf("the request at the gate came to %+v", first)
	}
	return answers
}
