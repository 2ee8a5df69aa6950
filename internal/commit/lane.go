package commit

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// job is one caller's request on its way through a lane.
type job[Q, A any] struct {
	ctx      context.Context // of the caller
	in       Q
	queued   time.Time // when it was last queued
	state    atomic.Int32
	attempts int // how often it has run without an answer
	out      A
	err      error
	done     chan struct{} // closed once out and err are set
}

// The states of a job. A caller that gives up and a lane that begins a batch both try to move it on
// from waiting; the first one wins. A job whose caller gives up later is not run again.
const (
	waiting int32 = iota
	begun
	abandoned
)

func (j *job[Q, A]) answer(out A, err error) {
	j.out, j.err = out, err
	close(j.done)
}

// lanes are bounded queues, each with one goroutine that takes the waiting jobs, batch by batch.
type lanes[Q, A any] struct {
	name   Queue
	queues []chan *job[Q, A]
	size   int
	weigh  func(Q) int
	late   func(error) *cart.Error
	run    func(context.Context, []*job[Q, A]) []*job[Q, A]

	observer Observer
	timeout  time.Duration
	ctx      context.Context // of all batches
	cancel   context.CancelFunc

	mu      sync.RWMutex // held for reading while a job is put into a queue
	stopped bool
	running sync.WaitGroup
}

// startLanes starts n lanes. weigh returns how much of a batch a request fills; no job joins a batch that is
// filled up to size. run gets a batch and either answers each job or returns it, to be run again. late returns
// the error for a caller that gave up after its batch had begun.
func startLanes[Q, A any](name Queue, n, size int, o Options, weigh func(Q) int, late func(error) *cart.Error,
	run func(context.Context, []*job[Q, A]) []*job[Q, A],
) *lanes[Q, A] {
	l := &lanes[Q, A]{
		name: name, queues: make([]chan *job[Q, A], n), size: size, weigh: weigh, late: late, run: run,
		observer: o.Observer, timeout: o.Timeout,
	}
	l.ctx, l.cancel = context.WithCancel(context.Background()) //nolint:gosec // wait calls it
	for i := range l.queues {
		queue := make(chan *job[Q, A], (o.QueueSize+n-1)/n)
		l.queues[i] = queue
		l.running.Go(func() { l.serve(queue) })
	}
	return l
}

// do puts the request into the lane of the hash and waits for its answer.
func (l *lanes[Q, A]) do(ctx context.Context, hash uint64, in Q) (A, error) {
	var none A
	if err := ctx.Err(); err != nil {
		return none, cart.Unavailable(err)
	}
	j := &job[Q, A]{ctx: ctx, in: in, queued: time.Now(), done: make(chan struct{})}
	if err := l.put(hash, j); err != nil {
		return none, err
	}
	select {
	case <-j.done:
		return j.out, j.err
	case <-ctx.Done():
	}
	was := j.state.Swap(abandoned)
	select {
	case <-j.done: // done at the same time: an answer that is known is given
		return j.out, j.err
	default:
	}
	if was == waiting {
		return none, cart.Unavailable(ctx.Err())
	}
	return none, l.late(ctx.Err())
}

func (l *lanes[Q, A]) put(hash uint64, j *job[Q, A]) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.stopped {
		return errStopped
	}
	select {
	case l.queues[hash%uint64(len(l.queues))] <- j:
		return nil
	default:
		l.observer.Refused(l.name)
		return cart.ErrOverloaded
	}
}

var errStopped = &cart.Error{Code: cart.CodeUnavailable, Detail: "The service is shutting down. Please try again in a moment."}

// serve runs a lane until its queue is closed and empty.
func (l *lanes[Q, A]) serve(queue <-chan *job[Q, A]) {
	var again []*job[Q, A]
	for {
		batch, open := l.next(queue, again)
		if len(batch) > 0 {
			again = l.runBatch(batch)
		} else if again = nil; !open {
			return
		}
	}
}

// next waits for the first job of a batch and adds the others that are waiting. Jobs that run again come
// first; they wait a moment for another job to arrive, so that the writes they conflicted with can finish.
func (l *lanes[Q, A]) next(queue <-chan *job[Q, A], again []*job[Q, A]) (batch []*job[Q, A], open bool) {
	for _, j := range again {
		batch = begin(batch, j)
	}
	var pause <-chan time.Time // never, where nothing runs again
	arrivals := queue
	if len(batch) > 0 {
		timer := time.NewTimer(backoff(batch[0].attempts))
		defer timer.Stop()
		pause = timer.C
		if l.weight(batch) >= l.size {
			arrivals = nil // there is no room for another
		}
	}
	select {
	case j, open := <-arrivals:
		if !open {
			return batch, false
		}
		batch = begin(batch, j)
	case <-pause:
	}
	return l.fill(batch, queue), true
}

// weight returns how much of a batch these jobs fill.
func (l *lanes[Q, A]) weight(batch []*job[Q, A]) (filled int) {
	for _, j := range batch {
		filled += l.weigh(j.in)
	}
	return filled
}

// fill adds waiting jobs to the batch. It calls runtime.Gosched first, so that goroutines that are ready to run can
// still join. That makes batches larger where processors are scarce: there it was measured to serve up to 15 % more
// reads.
func (l *lanes[Q, A]) fill(batch []*job[Q, A], queue <-chan *job[Q, A]) []*job[Q, A] {
	filled := l.weight(batch)
	for {
		had := len(batch)
		runtime.Gosched()
		for filled < l.size && len(queue) > 0 {
			j := <-queue // no other goroutine receives, so this does not block
			batch = begin(batch, j)
			filled += l.weigh(j.in)
		}
		if len(batch) == had || filled >= l.size {
			return batch
		}
	}
}

// begin adds the job to the batch unless its caller has given up.
func begin[Q, A any](batch []*job[Q, A], j *job[Q, A]) []*job[Q, A] {
	if !j.state.CompareAndSwap(waiting, begun) {
		return batch
	}
	return append(batch, j)
}

// backoff returns how long a job rests before it runs again: a random time of up to 1 ms after the first
// attempt, doubling to 32 ms.
func backoff(attempts int) time.Duration {
	return rand.N(time.Millisecond << min(attempts, 5))
}

func (l *lanes[Q, A]) runBatch(batch []*job[Q, A]) (again []*job[Q, A]) {
	ctx, cancel := context.WithTimeout(l.ctx, l.timeout)
	defer cancel()
	ctx, end := l.observer.Begin(ctx, l.name, requests(batch))
	again = l.run(ctx, batch)
	end(len(again))
	now := time.Now()
	for _, j := range again {
		j.attempts++
		j.queued = now
		j.state.CompareAndSwap(begun, waiting)
	}
	return again
}

// requests returns the jobs of a batch as an observer sees them.
func requests[Q, A any](batch []*job[Q, A]) []Request {
	now := time.Now()
	list := make([]Request, len(batch))
	for i, j := range batch {
		list[i] = Request{Context: j.ctx, Waited: now.Sub(j.queued)}
	}
	return list
}

// depth returns how many jobs are waiting, and the limit.
func (l *lanes[Q, A]) depth() (n, limit int) {
	for _, q := range l.queues {
		n += len(q)
		limit += cap(q)
	}
	return n, limit
}

// stop refuses further jobs; the lanes end when they have run the waiting ones.
func (l *lanes[Q, A]) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	l.stopped = true
	for _, q := range l.queues {
		close(q)
	}
}

// wait returns when all lanes have ended. When ctx ends first it cancels their batches, waits for
// them to notice, and returns ctx's error.
func (l *lanes[Q, A]) wait(ctx context.Context) error {
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	defer l.cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		l.cancel()
		<-ended
		return ctx.Err()
	}
}
