package postgres_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/postgres"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// exec runs SQL on the database at url.
func exec(t testing.TB, url, sql string) {
	t.Helper()
	query(t, url, sql)
}

// query runs SQL on the database at url, and returns the rows of its last statement as text.
func query(t testing.TB, url, sql string) (rows []string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	results, err := conn.PgConn().Exec(context.Background(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range results[len(results)-1].Rows {
		var fields []string
		for _, f := range row {
			fields = append(fields, string(f))
		}
		rows = append(rows, strings.Join(fields, "|"))
	}
	return rows
}

// newLegacyDatabase returns the URL of a database as the Python service left it.
func newLegacyDatabase(t testing.TB) string {
	t.Helper()
	sql, err := os.ReadFile("testdata/legacy.sql")
	if err != nil {
		t.Fatal(err)
	}
	url := pgtest.NewDatabase(t)
	exec(t, url, string(sql))
	return url
}

const oldRows = `
	SELECT c.id, c.user_id, c.company_id, c.cookie, c.status, c.created_at, i.id, i.product_id, i.name, i.price, i.quantity
	FROM cart c LEFT JOIN cart_item i ON i.cart_id = c.id ORDER BY c.id, i.id`

func TestAdoptionKeepsEveryRow(t *testing.T) {
	t.Parallel()
	url := newLegacyDatabase(t)
	before := query(t, url, oldRows)
	if err := migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, query(t, url, oldRows)); diff != "" {
		t.Errorf("rows after the migration: %s", diff)
	}
	m, closer, err := postgres.Migrator(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closer(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := m.DownTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, query(t, url, oldRows)); diff != "" {
		t.Errorf("rows after the way back: %s", diff)
	}
	if _, err := m.Down(t.Context()); err == nil || !strings.Contains(err.Error(), "are not dropped") {
		t.Errorf("taking the first migration back over carts: %v, want a refusal", err)
	}
	if diff := cmp.Diff(before, query(t, url, oldRows)); diff != "" {
		t.Errorf("rows after the refusal: %s", diff)
	}
}

const schema = `
	SELECT 'column', table_name, column_name, data_type, character_maximum_length, numeric_precision, numeric_scale,
	       is_nullable, column_default
	FROM information_schema.columns WHERE table_name IN ('cart', 'cart_item')
	UNION ALL
	SELECT 'index', tablename, indexname, indexdef, NULL, NULL, NULL, NULL, NULL FROM pg_indexes
	WHERE tablename IN ('cart', 'cart_item')
	UNION ALL
	SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL, NULL, NULL, NULL
	FROM pg_constraint WHERE conrelid IN ('cart'::regclass, 'cart_item'::regclass)
	ORDER BY 1, 2, 3`

func TestAdoptedAndNewSchemaAreTheSame(t *testing.T) {
	t.Parallel()
	adopted := newLegacyDatabase(t)
	if err := migrate(t.Context(), adopted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(query(t, newDatabase(t), schema), query(t, adopted, schema)); diff != "" {
		t.Errorf("new (-) and adopted (+) schema: %s", diff)
	}
}

func TestOldCartsReadAsTheyAre(t *testing.T) {
	t.Parallel()
	url := newLegacyDatabase(t)
	if err := migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s := open(t, url)
	var refs []cart.Ref
	for id := range int64(15) {
		refs = append(refs, cart.ByID(id+1))
	}
	carts, err := s.Load(t.Context(), refs)
	if err != nil {
		t.Fatal(err)
	}
	total := make([]string, len(carts))
	for i, c := range carts {
		total[i] = fmt.Sprint(c.ID, " ", c.Status, " ", c.Owner(), " ", len(c.Items), " ", c.Total())
		if c.Version != 1 || !c.UpdatedAt.Equal(c.CreatedAt) {
			t.Errorf("cart %d is at version %d of %v, want 1 and as old as it is", c.ID, c.Version, c.UpdatedAt)
		}
	}
	if diff := cmp.Diff([]string{
		"1 ACTIVE user 7 3 99999999990059.98", "2 LOCKED user 7 1 10.00", "3 CHECKED_OUT user 7 1 11.00",
		"4 CANCELLED user 7 1 11.10", "5 ACTIVE guest 1 1.10", "6 CHECKED_OUT guest 1 1.10", "7 ACTIVE nobody 1 1.00",
		"8 ACTIVE user 8 1 1.00", "9 ACTIVE user 9 0 0.00", "10 ACTIVE user 10 2 -20.09",
		"11 ACTIVE user 11 1200 5767202.00", "12 ACTIVE user 12 2 429496729357050327.06",
		"13 ACTIVE nobody 1 1.00", "14 LOCKED user 7 1 1.00", "15 ACTIVE user 7 1 1.00",
	}, total); diff != "" {
		t.Errorf("carts: %s", diff)
	}
	c := carts[0]
	if want := time.Date(2024, 1, 1, 10, 0, 0, 123456000, time.UTC); !c.CreatedAt.Equal(want) {
		t.Errorf("created at %v, want %v", c.CreatedAt, want)
	}
	if c.Items[0].ProductID != 30 || c.Items[1].Name != `Ünïcode – ☕ "quoted"` || c.Items[2].Price != cart.MaxPrice {
		t.Errorf("the lines of cart 1 are %+v", c.Items)
	}
	if got := carts[12].Cookie; got == nil || *got != "" {
		t.Errorf("the empty cookie of cart 13 reads as %v", got)
	}
	if !carts[13].Rival || carts[1].Rival {
		t.Error("of the LOCKED carts, just 14 has a rival")
	}
	active, err := s.Load(t.Context(), []cart.Ref{
		cart.ActiveOf(10, cart.Owner{}), cart.ActiveOf(10, cart.Guest("relic-8")), cart.ActiveOf(10, cart.Guest("guest-5")),
		cart.ByID(7), cart.ByID(13),
	})
	if err != nil {
		t.Fatal(err)
	}
	if active[0] != nil || active[1] != nil || active[2] == nil || active[2].ID != 5 {
		t.Errorf("a caller without an owner finds %v, the holder of a user's cookie %v, and a guest %v; want nothing, nothing, and cart 5",
			active[0], active[1], active[2])
	}
}
