//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// outcome is what a client knows about a command that it has sent.
type outcome int

const (
	acknowledged outcome = iota // done, or refused by the rules
	refused                     // not done, and may be repeated
	unknown                     // it may or may not have been done
	faulted                     // not done, and the service reports a bug
	outcomes
)

// answer is the result of a command.
type answer struct {
	outcome outcome
	cart    *cart.Cart // in the answer; nil if there is no such cart or line
	total   string
	err     error // why it was not acknowledged
}

// verdict is the ledger's judgement of a cart.
type verdict int

const (
	right   verdict = iota
	lost            // acknowledged writes are missing
	doubled         // a write was done twice, or one was done that no client knows of
	torn            // neither the state before a write nor the state after it
	verdicts
)

// String names the verdict.
func (v verdict) String() string { return [...]string{"right", "lost", "doubled", "torn"}[v] }

// ledger counts the outcomes that the clients of a site saw, and lets a test wait for them.
type ledger struct {
	mu       sync.Mutex
	grown    *sync.Cond
	outcomes [outcomes]int
	clients  map[*client][outcomes]int
	failures [instances]int // commands that were not acknowledged
	verdicts [verdicts]int
	mended   time.Time                // when the last fault ended
	again    [instances]time.Duration // from then to each instance's first acknowledged write; 0: none yet
}

func newLedger() *ledger {
	l := &ledger{clients: map[*client][outcomes]int{}}
	l.grown = sync.NewCond(&l.mu)
	return l
}

// record enters the outcome of a command that a client sent to an instance at time began.
func (l *ledger) record(o outcome, c *client, instance int, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outcomes[o]++
	of := l.clients[c]
	of[o]++
	l.clients[c] = of
	if o != acknowledged {
		l.failures[instance]++
	}
	if o == acknowledged && l.again[instance] == 0 && began.After(l.mended) {
		l.again[instance] = time.Since(l.mended)
	}
	l.grown.Broadcast()
}

// judge enters a verdict.
func (l *ledger) judge(v verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.verdicts[v]++
}

// counts returns the number of commands with each outcome.
func (l *ledger) counts() [outcomes]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outcomes
}

// failuresOf returns the number of a client's commands that were not acknowledged.
func (l *ledger) failuresOf(c *client) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed(c)
}

// failed is failuresOf for callers that hold the lock.
func (l *ledger) failed(c *client) int {
	of := l.clients[c]
	return of[refused] + of[unknown] + of[faulted]
}

// ofNeighbours returns the number of other clients' commands with each outcome.
func (l *ledger) ofNeighbours(c *client) [outcomes]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := l.outcomes
	for o, n := range l.clients[c] {
		sum[o] -= n
	}
	return sum
}

// await waits for n more commands with one of these outcomes.
func (l *ledger) await(t *testing.T, n int, kinds ...outcome) {
	t.Helper()
	l.awaitAfter(t, func() {}, n, kinds...)
}

// awaitAfter is await for outcomes that strike causes. It counts from before strike, which may return after they occur.
func (l *ledger) awaitAfter(t *testing.T, strike func(), n int, kinds ...outcome) {
	t.Helper()
	sum := func() (sum int) {
		for _, k := range kinds {
			sum += l.outcomes[k]
		}
		return sum
	}
	l.mu.Lock()
	enough := sum() + n
	l.mu.Unlock()
	strike()
	l.wait(t, fmt.Sprintf("%d outcomes of kinds %v", n, kinds), func() bool { return sum() >= enough })
}

// awaitFailures waits until n more commands have failed at every instance.
func (l *ledger) awaitFailures(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	before := l.failures
	l.mu.Unlock()
	l.wait(t, fmt.Sprintf("%d failures of every instance", n), func() bool {
		for i := range before {
			if l.failures[i] < before[i]+n {
				return false
			}
		}
		return true
	})
}

// servedAgain is called when a fault has ended. It waits until every instance has acknowledged a write, and returns the
// time that the slowest one took.
func (l *ledger) servedAgain(t *testing.T) time.Duration {
	t.Helper()
	l.mu.Lock()
	l.mended, l.again = time.Now(), [instances]time.Duration{}
	l.mu.Unlock()
	l.wait(t, "every instance to serve again", func() bool { return !slices.Contains(l.again[:], 0) })
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Max(l.again[:])
}

// wait waits until done returns true. Done runs under the lock.
func (l *ledger) wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.grown.Broadcast()
	})()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !done() {
		if ctx.Err() != nil {
			t.Fatalf("waited %v in vain for %s; outcomes so far: %v", patience, what, l.outcomes)
		}
		l.grown.Wait()
	}
}

// life is the history of one owner's cart at one company. One client changes it, one command at a time, and repeats each
// command until it is acknowledged, as clients are told to do.
type life struct {
	company int64
	owner   cart.Owner
	// states are the carts that may be stored now; nil is no cart. Between two commands there is only one.
	states []*cart.Cart
	// doubtful is true once the cart's creation has had an unknown outcome. Such a creation may still be in flight; it
	// makes no second cart while the owner has this one. So such a cart must stay ACTIVE and keep a line.
	doubtful bool
	emptying bool
}

func (l *life) ref() cart.Ref { return cart.ActiveOf(l.company, l.owner) }

// take enters the result of a command, and judges whether the answer is possible.
func (l *life) take(cmd cart.Command, a answer) verdict {
	if a.outcome == unknown {
		l.doubt(cmd)
	}
	if a.outcome != acknowledged {
		return right
	}
	var answers, left []*cart.Cart
	for _, before := range l.states {
		answered, stored, err := apply(cmd, before)
		if err != nil {
			answered = nil
		}
		answers = append(answers, answered)
		if same(answered, a.cart) {
			left = append(left, withID(stored, a.cart))
		}
	}
	if len(left) == 0 {
		l.states = []*cart.Cart{a.cart}
		return compare(a.cart, answers)
	}
	l.states = left[:1]
	return right
}

// doubt adds the states that are possible if the command was done.
func (l *life) doubt(cmd cart.Command) {
	l.doubtful = l.doubtful || slices.Contains(l.states, nil)
	for _, before := range l.states {
		_, stored, err := apply(cmd, before)
		if err == nil && !slices.ContainsFunc(l.states, func(c *cart.Cart) bool { return same(stored, c) }) {
			l.states = append(l.states, stored)
		}
	}
}

// apply returns the cart that the command answers with, and the cart that it stores. It uses the service's own rules:
// other tests check the rules, and these check that faults do not break their results.
func apply(cmd cart.Command, before *cart.Cart) (answered, stored *cart.Cart, err error) {
	after, err := cmd.Apply(before)
	if err != nil {
		return nil, before, err
	}
	if before != nil && len(before.Items) > 0 && len(after.Items) == 0 {
		return after, nil, nil
	}
	return after, after, nil
}

// same reports whether got is the expected cart. The id of want may still be unknown.
func same(want, got *cart.Cart) bool {
	if want == nil || got == nil {
		return want == got
	}
	return (want.ID == 0 || want.ID == got.ID) && want.CompanyID == got.CompanyID && want.Owner() == got.Owner() &&
		want.Status == got.Status && want.Version == got.Version && slices.Equal(want.Items, got.Items)
}

// withID returns the stored cart with the id from an answer.
func withID(stored, got *cart.Cart) *cart.Cart {
	if stored == nil || got == nil {
		return stored
	}
	c := *stored
	c.ID = got.ID
	return &c
}

// compare judges a cart that should be one of the possible ones.
func compare(got *cart.Cart, possible []*cart.Cart) verdict {
	version := func(c *cart.Cart) int64 {
		if c == nil {
			return 0
		}
		return c.Version
	}
	least, most := int64(math.MaxInt64), int64(0)
	for _, p := range possible {
		if same(p, got) {
			return right
		}
		least, most = min(least, version(p)), max(most, version(p))
	}
	switch v := version(got); {
	case v < least:
		return lost
	case v > most:
		return doubled
	default:
		return torn
	}
}

// crowd is a cart into which all clients put lines at once, each client its own product.
type crowd struct {
	company int64
	mu      sync.Mutex
	lines   map[int64]cart.Item // as last acknowledged, by product
	changes int64               // acknowledged
}

// crowdOwner owns the crowds. No client uses it otherwise.
var crowdOwner = cart.User(1 << 40)

func newCrowd(company int64) *crowd { return &crowd{company: company, lines: map[int64]cart.Item{}} }

func (c *crowd) ref() cart.Ref { return cart.ActiveOf(c.company, crowdOwner) }

// take enters an acknowledged change, and judges whether the answer shows it.
func (c *crowd) take(item cart.Item, got *cart.Cart) verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines[item.ProductID] = item
	c.changes++
	if got == nil || !slices.Contains(got.Items, item) {
		return lost
	}
	return right
}

// compare judges the stored cart when no command is in flight. Each change increases the version by one.
func (c *crowd) compare(got *cart.Cart) verdict {
	switch {
	case got == nil && c.changes == 0:
		return right
	case got == nil || got.Version < c.changes:
		return lost
	case got.Version > c.changes || len(got.Items) > len(c.lines):
		return doubled
	case len(got.Items) < len(c.lines):
		return lost
	}
	for _, item := range got.Items {
		if c.lines[item.ProductID] != item {
			return torn
		}
	}
	return right
}
