//go:build linux

package chaos

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	// instances of the service share a database.
	instances = 2
	// requestTimeout is how long the service lets a request take.
	requestTimeout = time.Second
	// patience bounds every wait.
	patience = 30 * time.Second
	// serveAgain bounds the time from the end of a fault until every instance serves again. It takes far less.
	serveAgain = 5 * time.Second
	// stopWithin bounds the time that an instance takes to stop. Its requests take a second at most.
	stopWithin = 5 * time.Second
)

// site is a database, two instances of the service on it, and their clients.
type site struct {
	t        *testing.T
	name     string
	services [instances]*service
	clients  []*client
	crowds   []*crowd
	tallies  []*tally
	// additions and difference are the results of the tallies at the last check.
	additions, difference int64
	ledger                *ledger
	// stored reads all carts directly from the database, and checks the database's integrity.
	stored func(ctx context.Context) ([]*cart.Cart, error)
	// mayFault is true while the current fault may be answered with 500; see fullDisk.
	mayFault atomic.Bool
	// checked maps cart ids to the versions at the last check.
	checked map[int64]int64
	report  []line
}

// fault is a failure that the service must survive.
type fault struct {
	name string
	// crashes is the number of processes, of the service or the database, that are killed.
	crashes int
	// strike causes the fault, waits until it has affected clients, and ends it.
	strike func()
}

func newSite(t *testing.T, name string) *site {
	s := &site{t: t, name: name, ledger: newLedger(), checked: map[int64]int64{}}
	for n := range int64(clients) {
		s.clients = append(s.clients, newClient(s, n+1))
	}
	return s
}

// run lets every fault strike in every round. After each, the service must serve again, and run checks the stored carts.
func (s *site) run(rounds int, faults []fault) {
	for range rounds {
		for _, f := range faults {
			s.suffer(f)
			if s.t.Failed() {
				s.t.Fatalf("after: %s", f.name)
			}
		}
	}
}

// suffer lets a fault strike while all clients are busy, and checks the stored carts when they are done.
func (s *site) suffer(f fault) {
	s.t.Helper()
	began, before := time.Now(), s.ledger.counts()
	together := newCrowd(int64(len(s.crowds)) + 1)
	s.crowds = append(s.crowds, together)
	counted := newTally(together.company)
	s.tallies = append(s.tallies, counted)
	s.mayFault.Store(false)
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*patience)
	stop := make(chan struct{})
	var busy sync.WaitGroup
	// Even if the test ends early because a wait has timed out.
	defer busy.Wait()
	defer cancel()
	for _, c := range s.clients {
		busy.Go(func() { c.run(ctx, stop, together, counted) })
	}
	const some = 100
	s.ledger.await(s.t, some, acknowledged)
	f.strike()
	took := s.ledger.servedAgain(s.t)
	s.ledger.await(s.t, some, acknowledged)
	close(stop)
	busy.Wait()
	for _, service := range s.services {
		service.survived()
	}
	if took > serveAgain {
		s.t.Errorf("%s: the service took %v to serve again", f.name, took)
	}
	s.check()
	s.enter(f, before, took)
	s.t.Logf("%v for: %s", time.Since(began).Round(time.Millisecond), f.name)
}

// check compares the stored carts with the ledger and with the service's answers. No client is busy meanwhile.
func (s *site) check() {
	s.t.Helper()
	carts, err := s.stored(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.additions, s.difference = s.counted(carts)
	for _, f := range append(s.compare(carts), s.compareShown(carts)...) {
		s.ledger.judge(f.verdict)
		s.t.Errorf("%v: %s", f.verdict, f.text)
	}
}

// finding describes a cart that is wrong.
type finding struct {
	verdict verdict
	text    string
}

// compare compares all stored carts with the ledger.
func (s *site) compare(carts []*cart.Cart) (findings []finding) {
	byOwner := map[cart.Ref][]*cart.Cart{}
	for _, c := range carts {
		ref := cart.ActiveOf(c.CompanyID, c.Owner())
		byOwner[ref] = append(byOwner[ref], c)
	}
	expect := func(ref cart.Ref, compare func(*cart.Cart) verdict) {
		found := byOwner[ref]
		delete(byOwner, ref)
		var got *cart.Cart
		if len(found) > 0 {
			got = found[0]
		}
		v := compare(got)
		if len(found) > 1 {
			v = doubled
		}
		if v != right {
			findings = append(findings, finding{v, fmt.Sprintf("%d carts at company %d of %v, the first: %+v",
				len(found), ref.CompanyID, ref.Owner, got)})
		}
	}
	for _, c := range s.clients {
		for _, l := range c.lives {
			expect(l.ref(), func(got *cart.Cart) verdict { return compare(got, l.states) })
		}
	}
	for _, c := range s.crowds {
		expect(c.ref(), c.compare)
	}
	for _, y := range s.tallies {
		expect(y.ref(), y.compare)
	}
	for ref, carts := range byOwner {
		findings = append(findings, finding{doubled, fmt.Sprintf("no client knows of %+v of %v", *carts[0], ref.Owner)})
	}
	return findings
}

// compareShown compares the carts that have changed since the last check with the service's answers.
func (s *site) compareShown(carts []*cart.Cart) (findings []finding) {
	s.t.Helper()
	var changed []*cart.Cart
	for _, c := range carts {
		if s.checked[c.ID] != c.Version && len(c.Items) > 0 {
			changed = append(changed, c)
		}
		s.checked[c.ID] = c.Version
	}
	turn := 0
	for part := range slices.Chunk(changed, cart.MaxCartsAsked) {
		shown, err := s.services[turn%instances].show(s.t.Context(), part, turn/instances%2 == 0)
		if err != nil {
			s.t.Fatal(err)
		}
		for i, c := range part {
			if !same(c, shown[i].cart) || shown[i].total != total(c.Items) {
				findings = append(findings, finding{torn, fmt.Sprintf("the service shows %s of %+v, stored is %+v",
					shown[i].total, shown[i].cart, c)})
			}
		}
		turn++
	}
	return findings
}

// show returns the carts as the instance answers them.
func (s *service) show(ctx context.Context, carts []*cart.Cart, overREST bool) (shown []answer, err error) {
	var ids []int64
	for _, c := range carts {
		ids = append(ids, c.ID)
	}
	p := s.running.Load()
	if overREST {
		code, body, err := p.fetch(ctx, http.MethodPost, "/api/v1/carts/by-ids", map[string]any{"ids": ids}, "")
		if err != nil || code != http.StatusOK {
			return nil, fmt.Errorf("list carts: status %d: %s: %w", code, body, err)
		}
		shown, err = restCarts(body)
		if err != nil {
			return nil, err
		}
	} else {
		list, err := p.rpc.ListByIds(ctx, &cartv1.ListByIdsRequest{Ids: ids})
		if err != nil {
			return nil, err
		}
		for _, c := range list.GetCarts() {
			shown = append(shown, rpcCart(c))
		}
	}
	if len(shown) != len(ids) {
		return nil, fmt.Errorf("the service shows %d carts of %d", len(shown), len(ids))
	}
	return shown, nil
}

// line is the report's line on one fault, the sum over all its strikes.
type line struct {
	fault           string
	strikes, deaths int
	outcomes        [outcomes]int
	slowest         time.Duration
}

// enter adds a strike to the report.
func (s *site) enter(f fault, before [outcomes]int, took time.Duration) {
	i := slices.IndexFunc(s.report, func(l line) bool { return l.fault == f.name })
	if i < 0 {
		i = len(s.report)
		s.report = append(s.report, line{fault: f.name})
	}
	l := &s.report[i]
	l.strikes++
	l.deaths += f.crashes
	l.slowest = max(l.slowest, took)
	for kind, n := range s.ledger.counts() {
		l.outcomes[kind] += n - before[kind]
	}
}

// table returns the report with its totals.
func (s *site) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n| %s | strikes | crashes | acknowledged | unknown | refused | serves again within |\n", s.name)
	fmt.Fprintln(&b, "|---|---|---|---|---|---|---|")
	sum := line{fault: "all"}
	for _, l := range append(s.report, line{}) {
		if l.fault == "" {
			l = sum
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d ms |\n", l.fault, l.strikes, l.deaths, l.outcomes[acknowledged],
			l.outcomes[unknown], l.outcomes[refused]+l.outcomes[faulted], l.slowest.Milliseconds())
		sum.strikes, sum.deaths, sum.slowest = sum.strikes+l.strikes, sum.deaths+l.deaths, max(sum.slowest, l.slowest)
		for kind, n := range l.outcomes {
			sum.outcomes[kind] += n
		}
	}
	v := s.ledger.verdicts
	fmt.Fprintf(&b, "\n%s, %d carts: lost: %d, doubled: %d, torn: %d\n", s.name, len(s.checked), v[lost], v[doubled], v[torn])
	fmt.Fprintf(&b, "Additions with keys: %d acknowledged, difference of the quantities: %d\n", s.additions, s.difference)
	return b.String()
}
