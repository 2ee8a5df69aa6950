package commit_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// seen is what an observer was told of a batch.
type seen struct {
	queue  commit.Queue
	owners []any // what the contexts of the requests hold
	waited []time.Duration
	took   time.Duration
	again  int
}

// watcher remembers what it is told.
type watcher struct {
	mu      sync.Mutex
	refused []commit.Queue
	batches []seen
}

type ownerKey struct{}

func (w *watcher) Refused(q commit.Queue) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused = append(w.refused, q)
}

func (w *watcher) Begin(ctx context.Context, q commit.Queue, requests []commit.Request) (context.Context, func(int)) {
	b, began := seen{queue: q}, time.Now()
	for _, r := range requests {
		b.owners = append(b.owners, r.Context.Value(ownerKey{}))
		b.waited = append(b.waited, r.Waited)
	}
	return context.WithValue(ctx, ownerKey{}, q), func(again int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		b.took, b.again = time.Since(began), again
		w.batches = append(w.batches, b)
	}
}

func TestObserverHearsOfBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, w := &memory{}, &watcher{}
		s := start(t, m, func(o *commit.Options) { o.Observer, o.QueueSize = w, 3 })
		open := hold(t, s, m)
		wait := calls(5, func(i int) error {
			ctx := context.WithValue(t.Context(), ownerKey{}, i)
			_, err := storetest.Do(ctx, s, add(int64(i+1), 1))
			return err
		})
		if n, limit := s.Waiting(commit.Writes); n != 3 || limit != 3 {
			t.Errorf("%d of %d wait, want 3 of 3", n, limit)
		}
		for _, q := range []commit.Queue{commit.Reads, commit.Lists} {
			if n, limit := s.Waiting(q); n != 0 || limit != 3 {
				t.Errorf("%v: %d of %d wait, want 0 of 3", q, n, limit)
			}
		}
		<-time.After(time.Second) // of the clock of this test
		m.beforeSave = func(ctx context.Context, _ []cart.Change) error {
			if ctx.Value(ownerKey{}) != commit.Writes {
				t.Error("the batch does not run in the observer's context")
			}
			return nil
		}
		open()
		wait()
		synctest.Wait()
		if len(w.refused) != 2 || w.refused[0] != commit.Writes {
			t.Errorf("heard of the refusals %v, want two of writes", w.refused)
		}
		if len(w.batches) != 2 || len(w.batches[0].owners) != 1 || len(w.batches[1].owners) != 3 {
			t.Fatalf("heard of %+v, want the holder and then three", w.batches)
		}
		if took := w.batches[0].took; took != time.Second {
			t.Errorf("the first batch took %v, want a second", took)
		}
		if b := w.batches[1]; slices.Contains(b.owners, nil) || slices.Max(b.waited) != time.Second || b.again != 0 || b.queue != commit.Writes {
			t.Errorf("heard %+v, want requests with their contexts that waited a second", b)
		}
		if _, err := s.List(t.Context(), cart.Listing{UserID: 1, Limit: 1}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the caller is answered before the observer is told
		if _, err := s.GetMany(t.Context(), []int64{1}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(w.batches) != 4 || w.batches[2].queue != commit.Lists || w.batches[3].queue != commit.Reads {
			t.Errorf("heard of %+v, want a listing and a read", w.batches[2:])
		}
	})
}

func TestObserverHearsOfRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, w := &memory{}, &watcher{}
		s := start(t, m, func(o *commit.Options) { o.Observer = w })
		c, err := storetest.Do(t.Context(), s, add(1, 1))
		if err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		m.beforeSave = func(context.Context, []cart.Change) error {
			once.Do(func() { m.change(c.ID) })
			return nil
		}
		if _, err := storetest.Do(t.Context(), s, add(1, 2)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var again []int
		for _, b := range w.batches {
			again = append(again, b.again)
		}
		if !slices.Equal(again, []int{0, 1, 0}) || w.batches[2].waited[0] > time.Second {
			t.Errorf("heard of %+v, want the second of three to run again", w.batches)
		}
	})
}

func TestQueuesHaveNames(t *testing.T) {
	t.Parallel()
	for q, want := range map[commit.Queue]string{commit.Writes: "writes", commit.Reads: "reads", commit.Lists: "lists"} {
		if got := q.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
