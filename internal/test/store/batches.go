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
}

// runBatches gives random commands to group commit, several in one batch and so in one Save, and compares each answer and
// all carts with those of the model, which takes one command after another.
func runBatches(t *testing.T, db Database[cart.Store]) {
	g := &gate{Store: db.Open(t)}
	s := commit.New(g, commit.Options{
		WriteLanes: 1, ReadLanes: 1, BatchSize: 64, QueueSize: 64, Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var runs atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(runs.Add(1) * 100)
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			commands := rapid.SliceOfN(rapid.Custom(m.command), 1, 10).Draw(rt, "batch")
			m.check(rt, commands, g.together(t, s, commands))
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

// together runs the commands as one batch, in their order: while the lane waits at the gate, they queue up one by one.
func (g *gate) together(t *testing.T, s *commit.Service, commands []cart.Command) []outcome {
	g.reached, g.shut = make(chan struct{}), make(chan struct{})
	outcomes := make([]outcome, len(commands))
	var ended sync.WaitGroup
	run := func(cmd cart.Command, o *outcome) {
		ended.Go(func() { o.cart, o.err = s.Do(t.Context(), cmd) })
	}
	var first outcome
	run(cart.RemoveItem{CartID: nobodys, ProductID: 1}, &first)
	<-g.reached
	for i, cmd := range commands {
		run(cmd, &outcomes[i])
		for waiting := 0; waiting <= i; waiting, _ = s.Waiting(commit.Writes) {
			runtime.Gosched()
		}
	}
	close(g.shut)
	ended.Wait()
	if cart.CodeOf(first.err) != cart.CodeNotFound {
		t.Errorf("the command at the gate came to %+v", first)
	}
	return outcomes
}
