package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/postgres"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// sent remembers the statements of a store, and the configuration of its sessions.
type sent struct {
	mu         sync.Mutex
	statements map[string]bool
	session    *pgx.ConnConfig
}

func (s *sent) watch(cfg *pgxpool.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		s.statements, s.session = make(map[string]bool), cfg.ConnConfig.Copy()
	}
	cfg.ConnConfig.Tracer = s
}

func (s *sent) add(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statements[sql] = true
}

func (s *sent) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.add(data.SQL)
	return ctx
}

func (s *sent) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *sent) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		s.add(q.SQL)
	}
	return ctx
}

func (s *sent) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (s *sent) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TestStore runs the suite, which covers everything that a store does, and a save of every combination of parts. It then
// explains the statements that the store has sent.
func TestStore(t *testing.T) {
	t.Parallel()
	var all sent
	t.Run("suite", func(t *testing.T) {
		storetest.Run(t, func(t testing.TB) storetest.Database[cart.Store] {
			url := newDatabase(t)
			return storetest.Database[cart.Store]{
				Open:   func(t testing.TB) cart.Store { return open(t, url, all.watch) },
				Insert: func(t testing.TB, c cart.Cart) int64 { return insert(t, url, c) },
			}
		})
	})
	saveEveryCombination(t, open(t, newDatabase(t), all.watch))
	t.Run("plans", func(t *testing.T) { checkPlans(t, &all) })
}

// checkPlans explains the statements on tables that are empty, small, large without having been analyzed, and analyzed.
// Plans are kept while the tables grow, also those of a store that was warmed up while they were small.
func checkPlans(t *testing.T, all *sent) {
	url := newDatabase(t)
	all.session.Database = parse(t, url).Database
	exec(t, url, `ALTER TABLE cart SET (autovacuum_enabled = off); ALTER TABLE cart_item SET (autovacuum_enabled = off)`)

	warm := planner{prepared: make(map[string]string)}
	var sessions []*planner
	for _, step := range []struct{ tables, sql string }{
		{"empty", `SELECT 1`},
		{"small", fill(1, 8)},
		{"large", fill(9, 300_000)},
		{"analyzed", `ANALYZE cart, cart_item`},
	} {
		exec(t, url, step.sql)
		sessions = append(sessions, newPlanner(t, all))
		if step.tables == "small" {
			s := open(t, url, warm.watch)
			saveEveryCombination(t, s)
			reload(t, s, cart.ActiveOf(8, cart.User(8)))
			warm.adopt(t)
			sessions = append(sessions, &warm)
		}
		for i, p := range sessions {
			for _, sql := range p.statements(all) {
				if fault := p.explain(t, sql); fault != "" {
					t.Errorf("%s tables, session %d of %d: %s:\n%s", step.tables, i+1, len(sessions), fault, sql)
				}
			}
		}
	}
}

// fill returns SQL that makes carts with a line each, for the owners of those numbers.
func fill(from, to int) string {
	return fmt.Sprintf(`
		SET session_replication_role = replica; -- no foreign keys, which takes half of the time
		WITH made AS (
			INSERT INTO cart (company_id, user_id, cookie)
			SELECT n %% 100, CASE WHEN n %% 2 = 0 THEN n END, CASE WHEN n %% 2 = 1 THEN 'guest-' || n END
			FROM generate_series(%d, %d) n
			RETURNING id)
		INSERT INTO cart_item (cart_id, product_id, name, price, quantity) SELECT id, 1, 'x', 1, 1 FROM made`, from, to)
}

func parse(t testing.TB, url string) *pgx.ConnConfig {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// saveEveryCombination sends a save of each combination of the parts that a save may have, and a ping. The carts are not
// there.
func saveEveryCombination(t *testing.T, s *postgres.Store) {
	t.Helper()
	item := cart.Item{ProductID: 1, Name: "x", Price: 1, Quantity: 1}
	user, guest := int64(7), "g"
	parts := []cart.Change{
		{Cart: &cart.Cart{ID: 1 << 40, CompanyID: 1, UserID: &user, Status: cart.Active, Version: 2}, Was: 1},
		{Cart: &cart.Cart{ID: 2 << 40, Status: cart.Active, Version: 2}, Was: 1, Drop: []int64{1}},
		{Cart: &cart.Cart{ID: 3 << 40, Status: cart.Active, Version: 2}, Was: 1, Put: []cart.Line{{Item: item}}},
		{Cart: &cart.Cart{ID: 4 << 40, Status: cart.Active, Version: 2}, Was: 1, Put: []cart.Line{{Item: item, Append: true}}},
		{Cart: &cart.Cart{ID: 5 << 40}, Was: 1, Delete: true},
		{Cart: &cart.Cart{CompanyID: 1, UserID: &user, Status: cart.Active, Version: 1}, Activates: true},
		{Cart: &cart.Cart{CompanyID: 1, Cookie: &guest, Status: cart.Active, Version: 1}, Activates: true},
	}
	receipt := cart.Receipt{Key: [32]byte{1}, Fingerprint: []byte{1}, CompanyID: 1, Version: 1}
	extras := []cart.Change{
		{Cart: &cart.Cart{ID: 6 << 40, Status: cart.Locked, Lease: time.Minute, Version: 2}, Was: 1, Amends: true},
		{Cart: &cart.Cart{ID: 7 << 40, Status: cart.Active, Version: 2}, Was: 1, Group: 1, Receipts: []cart.Receipt{receipt}},
		{Cart: &cart.Cart{ID: 8 << 40, Status: cart.Active, Version: 1}, Was: 1, Keep: true, Group: 1},
	}
	for mask := 1; mask < 1<<len(parts); mask++ {
		saveAll(t, s, parts, mask, nil)
	}
	for extra := 1; extra < 1<<len(extras); extra++ {
		for _, mask := range []int{0, 1, 1 << 4, 1 << 5, 1<<len(parts) - 1} {
			saveAll(t, s, parts, mask, chosen(extras, extra))
		}
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// saveAll saves the parts that the mask chooses, and some more.
func saveAll(t *testing.T, s *postgres.Store, parts []cart.Change, mask int, more []cart.Change) {
	t.Helper()
	if _, err := s.Save(t.Context(), append(chosen(parts, mask), more...)); err != nil {
		t.Fatal(err)
	}
}

func chosen(parts []cart.Change, mask int) (changes []cart.Change) {
	for i, part := range parts {
		if mask>>i&1 == 1 {
			changes = append(changes, part)
		}
	}
	return changes
}

// planner is a session like those of the store, on which statements stay prepared.
type planner struct {
	conn     *pgx.Conn
	prepared map[string]string // names, by SQL
}

func newPlanner(t *testing.T, all *sent) *planner {
	t.Helper()
	conn, err := pgx.ConnectConfig(t.Context(), all.session)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &planner{conn, make(map[string]string)}
}

// watch makes the session of a store's pool that of the planner.
func (p *planner) watch(cfg *pgxpool.Config) {
	cfg.MaxConns = 1
	connected := cfg.AfterConnect
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		p.conn = conn
		return connected(ctx, conn)
	}
}

// adopt finds out what is prepared on the session.
func (p *planner) adopt(t *testing.T) {
	t.Helper()
	rows, err := p.conn.Query(t.Context(), `SELECT statement, name FROM pg_prepared_statements`, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Fatal(err)
	}
	var sql, name string
	if _, err := pgx.ForEachRow(rows, []any{&sql, &name}, func() error { p.prepared[sql] = name; return nil }); err != nil {
		t.Fatal(err)
	}
}

// statements returns the statements prepared on the session, or all of them if there are none yet.
func (p *planner) statements(all *sent) []string {
	if len(p.prepared) > 0 {
		return slices.Collect(maps.Keys(p.prepared))
	}
	return slices.Collect(maps.Keys(all.statements))
}

// plan is a node of what EXPLAIN shows.
type plan struct {
	Node      string `json:"Node Type"`
	Operation string `json:"Operation"`
	Table     string `json:"Relation Name"`
	Condition string `json:"Index Cond"`
	Plans     []plan `json:"Plans"`
}

// explain returns what is wrong with the plan of the statement.
func (p *planner) explain(t *testing.T, sql string) string {
	t.Helper()
	name, ok := p.prepared[sql]
	if !ok {
		name = fmt.Sprint("p", len(p.prepared))
		p.prepared[sql] = name
		if _, err := p.conn.PgConn().Prepare(t.Context(), name, sql, nil); err != nil {
			t.Fatal(err)
		}
	}
	var parameters int
	err := p.conn.QueryRow(t.Context(), `SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1`, name).Scan(&parameters)
	if err != nil {
		t.Fatal(err)
	}
	call := name
	if parameters > 0 {
		call += "(" + strings.Join(slices.Repeat([]string{"NULL"}, parameters), ", ") + ")"
	}
	var text []byte
	if err := p.conn.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) EXECUTE "+call, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		t.Fatal(err)
	}
	var explained []struct{ Plan plan }
	if err := json.Unmarshal(text, &explained); err != nil {
		t.Fatal(err)
	}
	return explained[0].Plan.fault()
}

// fault returns what is wrong with the plan: it reads a whole table of carts or lines, or it locks carts in another order
// than that of the batch.
func (p *plan) fault() string {
	ours := p.Table == "cart" || p.Table == "cart_item"
	switch {
	case strings.HasSuffix(p.Node, "Scan") && ours && p.Node != "Bitmap Heap Scan" && !strings.Contains(p.Condition, " = ") &&
		!strings.HasPrefix(p.Condition, "(locked_until <= "): // which are few
		return fmt.Sprintf("a %s with the condition %q reads all of %s", p.Node, p.Condition, p.Table)
	case p.Node == "ModifyTable" && p.Table == "cart" && p.Operation != "Insert" && !p.Plans[0].keepsOrder():
		return fmt.Sprintf("%s %s takes its rows from a %s", p.Operation, p.Table, p.Plans[0].Node)
	}
	for _, child := range p.Plans {
		if fault := child.fault(); fault != "" {
			return fault
		}
	}
	return ""
}

// keepsOrder reports whether the rows come in the order of a function's result or of a part of the statement, each looked
// up in turn, or in that of their ids.
func (p *plan) keepsOrder() bool {
	switch p.Node {
	case "Function Scan", "CTE Scan":
		return true
	case "Index Scan": // a list of ids is sorted first
		return strings.Contains(p.Condition, "id = ANY")
	case "Nested Loop":
		return p.Plans[0].keepsOrder()
	}
	return false
}
