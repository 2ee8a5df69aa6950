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

// outcome is what a client knows of a command after it has sent it.
type outcome int

const (
	acknowledged outcome = iota // done, or refused by the rules
	refused                     // nothing was done, and it may be repeated
	unknown                     // it may or may not have been done
	faulted                     // nothing was done, and the service calls it a bug
	outcomes
)

// answer is what a command came to.
type answer struct {
	outcome outcome
	cart    *cart.Cart // as the answer shows it; nil where there is no such cart or line
	total   string
	err     error // why it was not acknowledged
}

// verdict is what the ledger says of a cart.
type verdict int

const (
	right   verdict = iota
	lost            // acknowledged writes are missing
	doubled         // something was done twice, or was done that nobody was told of
	torn            // neither as before a write nor as after it
	verdicts
)

// String names the verdict.
func (v verdict) String() string { return [...]string{"right", "lost", "doubled", "torn"}[v] }

// ledger counts what the clients of a site were told, and lets a test wait for it.
type ledger struct {
	mu       sync.Mutex
	grown    *sync.Cond
	outcomes [outcomes]int
	clients  map[*client][outcomes]int
	failures [instances]int // answers that did not acknowledge, or none
	verdicts [verdicts]int
	mended   time.Time                // when the last fault ended
	again    [instances]time.Duration // from then to the first write acknowledged by each instance; 0: none yet
}

func newLedger() *ledger {
	l := &ledger{clients: map[*client][outcomes]int{}}
	l.grown = sync.NewCond(&l.mu)
	return l
}

// record enters the outcome of a command that a client sent to an instance at that time.
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

// counts returns how many commands came to each outcome.
func (l *ledger) counts() [outcomes]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.outcomes
}

// failuresOf returns how many commands of a client were not acknowledged.
func (l *ledger) failuresOf(c *client) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed(c)
}

// failed is failuresOf under the lock.
func (l *ledger) failed(c *client) int {
	of := l.clients[c]
	return of[refused] + of[unknown] + of[faulted]
}

// ofNeighbours returns how many commands of other clients came to each outcome.
func (l *ledger) ofNeighbours(c *client) [outcomes]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := l.outcomes
	for o, n := range l.clients[c] {
		sum[o] -= n
	}
	return sum
}

// await waits until n more commands have come to one of these outcomes.
func (l *ledger) await(t *testing.T, n int, kinds ...outcome) {
	t.Helper()
	l.awaitAfter(t, func() {}, n, kinds...)
}

// awaitAfter is await for what strike brings about, which may be there before strike returns.
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

// servedAgain is called when a fault has ended. It waits until every instance has acknowledged a write since, and
// returns how long the slowest one took.
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

// wait waits until done, which runs under the lock, returns true.
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

// life is what one client did to one owner's cart at one company, one command after another. It repeats a command until
// that is acknowledged, as clients are told to do.
type life struct {
	company int64
	owner   cart.Owner
	// states are what may be stored now, nil for no cart. Between two commands there is one.
	states []*cart.Cart
	// doubtful says that the cart's creation was once of unknown outcome. A creation that is still on its way comes to
	// nothing while the owner has the cart, so such a cart stays as it is.
	doubtful bool
	emptying bool
}

func (l *life) ref() cart.Ref { return cart.ActiveOf(l.company, l.owner) }

// take enters what a command came to, and says whether the answer is one that it can have.
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

// doubt adds what is stored if the command was done.
func (l *life) doubt(cmd cart.Command) {
	l.doubtful = l.doubtful || slices.Contains(l.states, nil)
	for _, before := range l.states {
		_, stored, err := apply(cmd, before)
		if err == nil && !slices.ContainsFunc(l.states, func(c *cart.Cart) bool { return same(stored, c) }) {
			l.states = append(l.states, stored)
		}
	}
}

// apply returns what the command answers and what it leaves stored. The rules are those of the service: what they say is
// tested elsewhere, and here it is whether faults break what they said.
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

// same reports whether got is the cart that is expected, whose id may not be known yet.
func same(want, got *cart.Cart) bool {
	if want == nil || got == nil {
		return want == got
	}
	return (want.ID == 0 || want.ID == got.ID) && want.CompanyID == got.CompanyID && want.Owner() == got.Owner() &&
		want.Status == got.Status && want.Version == got.Version && slices.Equal(want.Items, got.Items)
}

// withID returns the stored cart with the id that an answer shows.
func withID(stored, got *cart.Cart) *cart.Cart {
	if stored == nil || got == nil {
		return stored
	}
	c := *stored
	c.ID = got.ID
	return &c
}

// compare says what is wrong with a cart that should be one of these.
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

// crowd is a cart that all clients put lines into at once, each one a product of its own.
type crowd struct {
	company int64
	mu      sync.Mutex
	lines   map[int64]cart.Item // as last acknowledged, by product
	changes int64               // acknowledged
}

// crowdOwner owns the crowds. It is no client's.
var crowdOwner = cart.User(1 << 40)

func newCrowd(company int64) *crowd { return &crowd{company: company, lines: map[int64]cart.Item{}} }

func (c *crowd) ref() cart.Ref { return cart.ActiveOf(c.company, crowdOwner) }

// take enters an acknowledged change, and says whether the answer shows it.
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

// compare says what is wrong with the cart when no command is under way. Each change is one version.
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
