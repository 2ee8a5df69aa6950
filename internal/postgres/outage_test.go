package postgres_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/postgres"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// addTo returns the changes that add a product to a cart.
func addTo(t testing.TB, c *cart.Cart, product int64) []cart.Change {
	t.Helper()
	after, err := cart.PutItem{CartID: c.ID, Item: add(0, product).Item}.Apply(c)
	if err != nil {
		t.Fatal(err)
	}
	return []cart.Change{cart.Diff(c, after)}
}

// TestReadOnlyAndBack has an administrator make the database read-only, and writable again. The sessions that the store
// has opened meanwhile stay read-only for as long as they live.
func TestReadOnlyAndBack(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	c := createMany(t, open(t, url), 1)[0]
	set(t, url, "default_transaction_read_only = on")
	s := open(t, url)
	for range 2 {
		if _, err := s.Save(t.Context(), addTo(t, c, 2)); cart.CodeOf(err) != cart.CodeUnavailable {
			t.Errorf("a write: %v, want CodeUnavailable", err)
		}
		if err := s.Ping(t.Context()); cart.CodeOf(err) != cart.CodeUnavailable {
			t.Errorf("ping: %v, want CodeUnavailable", err)
		}
		reload(t, s, cart.ByID(c.ID))
	}
	exec(t, url+"&default_transaction_read_only=off", fmt.Sprintf("ALTER DATABASE %s RESET default_transaction_read_only", parse(t, url).Database))
	if saved, err := s.Save(t.Context(), addTo(t, c, 2)); err != nil || !saved[0].OK {
		t.Errorf("a write after that: %v, %v", saved, err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping after that: %v", err)
	}
}

// TestOtherHostTakesOver names two servers in the URL, and makes the one in use read-only.
func TestOtherHostTakesOver(t *testing.T) {
	t.Parallel()
	var hosts []string
	var urls []string
	for range 2 {
		server := pgtest.Start(t)
		exec(t, server.URL(), `ALTER ROLE postgres PASSWORD 'shared'`)
		cfg := parse(t, server.URL())
		host := net.JoinHostPort(cfg.Host, fmt.Sprint(cfg.Port))
		hosts = append(hosts, host)
		urls = append(urls, fmt.Sprintf("postgres://postgres:shared@%s/postgres?sslmode=disable", host))
		if err := migrate(t.Context(), urls[len(urls)-1]); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, fmt.Sprintf("postgres://postgres:shared@%s/postgres?sslmode=disable&target_session_attrs=read-write", strings.Join(hosts, ",")))
	readOnly := func(url, value string) {
		t.Helper()
		exec(t, url, "ALTER SYSTEM SET default_transaction_read_only = "+value)
		exec(t, url, "SELECT pg_reload_conf()")
		until(t, "the setting is in force", func() bool { return query(t, url, "SHOW default_transaction_read_only")[0] == value })
	}
	createMany(t, s, 1)
	readOnly(urls[0], "on")
	createMany(t, s, 2)
	readOnly(urls[1], "on")
	readOnly(urls[0], "off")
	if err := s.Ping(t.Context()); err != nil { // an idle service finds its way back too
		t.Errorf("ping: %v", err)
	}
	createMany(t, s, 4)
	for i, want := range []string{"5", "2"} {
		if got := query(t, urls[i], "SELECT count(*) FROM cart")[0]; got != want {
			t.Errorf("host %d has %s carts, want %s", i+1, got, want)
		}
	}
}

// until waits until the condition is true, or the test is out of time.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for !is() {
		if err := t.Context().Err(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// newRole returns a role of its own for the test, which may serve the carts at url, and the URL with which it logs in.
func newRole(t testing.TB, url string) (role, login string) {
	t.Helper()
	cfg := parse(t, url)
	role = cfg.Database + "_service"
	exec(t, url, fmt.Sprintf(`
		CREATE ROLE %[1]s LOGIN PASSWORD 'old';
		GRANT SELECT, INSERT, UPDATE, DELETE ON cart, cart_item, cart_request TO %[1]s;
		GRANT SELECT ON goose_db_version TO %[1]s;
		GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO %[1]s;
		REVOKE CONNECT ON DATABASE %[2]s FROM PUBLIC;
		GRANT CONNECT ON DATABASE %[2]s TO %[1]s`, role, cfg.Database))
	t.Cleanup(func() { exec(t, url, fmt.Sprintf("DROP OWNED BY %[1]s; DROP ROLE %[1]s", role)) })
	return role, fmt.Sprintf("postgres://%s:old@%s:%d/%s?sslmode=disable", role, cfg.Host, cfg.Port, cfg.Database)
}

// TestRefusedLoginIsUnavailable refuses the service's login in several ways, and lets it in again.
func TestRefusedLoginIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ refuse, admit string }{
		"28P01 password":            {"ALTER ROLE {role} PASSWORD 'new'", "ALTER ROLE {role} PASSWORD 'old'"},
		"28000 login":               {"ALTER ROLE {role} NOLOGIN", "ALTER ROLE {role} LOGIN"},
		"53300 connections":         {"ALTER ROLE {role} CONNECTION LIMIT 0", "ALTER ROLE {role} CONNECTION LIMIT 9"},
		"42501 right to connect":    {"REVOKE CONNECT ON DATABASE {db} FROM {role}", "GRANT CONNECT ON DATABASE {db} TO {role}"},
		"3D000 database":            {"ALTER DATABASE {db} RENAME TO {db}_away", "ALTER DATABASE {db}_away RENAME TO {db}"},
		"55000 database takes none": {"ALTER DATABASE {db} ALLOW_CONNECTIONS false", "ALTER DATABASE {db} ALLOW_CONNECTIONS true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, other := newDatabase(t), pgtest.NewDatabase(t)
			role, login := newRole(t, url)
			db := parse(t, url).Database
			names := strings.NewReplacer("{role}", role, "{db}", db)
			s := open(t, login)
			c := createMany(t, s, 1)[0]
			exec(t, other, fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s'", db))
			until(t, "the sessions have ended", func() bool {
				return query(t, other, fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE datname = '%s'", db))[0] == "0"
			})
			exec(t, other, names.Replace(tc.refuse))
			if _, err := s.Load(t.Context(), []cart.Ref{cart.ByID(c.ID)}); cart.CodeOf(err) != cart.CodeUnavailable {
				t.Errorf("load: %v, want CodeUnavailable", err)
			}
			if _, err := s.Save(t.Context(), addTo(t, c, 2)); cart.CodeOf(err) != cart.CodeUnavailable {
				t.Errorf("save: %v, want CodeUnavailable", err)
			}
			if err := s.Ping(t.Context()); cart.CodeOf(err) != cart.CodeUnavailable {
				t.Errorf("ping: %v, want CodeUnavailable", err)
			}
			exec(t, other, names.Replace(tc.admit))
			if saved, err := s.Save(t.Context(), addTo(t, c, 2)); err != nil || !saved[0].OK {
				t.Errorf("save after that: %v, %v", saved, err)
			}
		})
	}
}

// TestWhatIsTakenAwayIsUnavailable takes rights and tables away from the service, and gives them back.
func TestWhatIsTakenAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		take, give  string
		read, write bool // what keeps working
	}{
		"right to change lines": {"REVOKE UPDATE ON cart_item FROM ROLE", "GRANT UPDATE ON cart_item TO ROLE", true, true},
		"right to add lines":    {"REVOKE INSERT ON cart_item FROM ROLE", "GRANT INSERT ON cart_item TO ROLE", true, false},
		"right to read":         {"REVOKE SELECT ON cart FROM ROLE", "GRANT SELECT ON cart TO ROLE", false, false},
		"table":                 {"ALTER TABLE cart_item RENAME TO away", "ALTER TABLE away RENAME TO cart_item", false, false},
		"column":                {"ALTER TABLE cart_item RENAME quantity TO away", "ALTER TABLE cart_item RENAME away TO quantity", false, false},
		"schema":                {"ALTER SCHEMA public RENAME TO away", "ALTER SCHEMA away RENAME TO public", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newDatabase(t)
			role, login := newRole(t, url)
			s := open(t, login)
			c := createMany(t, s, 1)[0]
			check := func(what string, err error, goesOn bool) {
				t.Helper()
				if goesOn && err != nil || !goesOn && cart.CodeOf(err) != cart.CodeUnavailable {
					t.Errorf("%s: %v, want it to go on: %t, and else CodeUnavailable", what, err, goesOn)
				}
			}
			check("ping before", s.Ping(t.Context()), true)
			exec(t, url, strings.ReplaceAll(tc.take, "ROLE", role))
			check("ping", s.Ping(t.Context()), false)
			_, err := s.Load(t.Context(), []cart.Ref{cart.ByID(c.ID)})
			check("load", err, tc.read)
			if !tc.write {
				_, err = s.Save(t.Context(), addTo(t, c, 2))
				check("save", err, false)
			}
			exec(t, url, strings.ReplaceAll(tc.give, "ROLE", role))
			check("ping after", s.Ping(t.Context()), true)
			_, err = s.Save(t.Context(), addTo(t, c, 2))
			check("save after", err, true)
		})
	}
}

// TestWhatWasPreparedIsPreparedAgain changes the types of results, and removes prepared statements from their
// sessions. Such a statement had no effect, so the store sends it again, and no caller gets an error.
func TestWhatWasPreparedIsPreparedAgain(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	var session planner
	s := open(t, url, session.watch)
	c := createMany(t, s, 1)[0]
	use := func(after string) {
		t.Helper()
		for _, sv := range []func() error{
			func() error { c = reload(t, s, cart.ByID(c.ID)); return nil },
			func() error {
				_, err := s.Save(t.Context(), addTo(t, c, c.Items[len(c.Items)-1].ProductID+1))
				return err
			},
			func() error { _, err := s.List(t.Context(), cart.Listing{UserID: *c.UserID, Limit: 9}); return err },
			func() error { // several statements
				set, err := cart.Upsert{CompanyID: companies.Add(1), Owner: cart.Guest("g")}.Apply(nil)
				if err == nil {
					_, err = s.Save(t.Context(), []cart.Change{cart.Diff(nil, set)})
				}
				return err
			},
		} {
			if err := sv(); err != nil {
				t.Errorf("after %s: %v", after, err)
			}
		}
	}
	use("nothing")
	for _, sql := range []string{"DEALLOCATE ALL", "DISCARD ALL"} {
		if _, err := session.conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		use(sql)
	}
	for _, sql := range []string{
		"ALTER TABLE cart ALTER cookie TYPE text", "ALTER TABLE cart_item ALTER name TYPE text",
		"ALTER TABLE cart ALTER cookie TYPE varchar(255)", "ALTER TABLE cart_item ALTER name TYPE varchar(255)",
	} {
		exec(t, url, sql)
		use(sql)
	}
}

// TestTypesChangeUnderLoad changes the type of a column back and forth while carts are read and written.
func TestTypesChangeUnderLoad(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s := open(t, url)
	svc := service(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	var served atomic.Int64
	done := make(chan int)
	const clients = 6
	for i := range clients {
		go func() {
			n := 0
			for ; ctx.Err() == nil; n++ {
				if _, err := storetest.Do(t.Context(), svc, add(int64(i+1), int64(n%5+1))); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
				if _, err := svc.Get(t.Context(), cart.ActiveOf(1, cart.User(int64(i+1)))); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
				served.Add(1)
			}
			done <- n
		}()
	}
	for i := range 10 {
		exec(t, url, []string{"ALTER TABLE cart ALTER cookie TYPE text", "ALTER TABLE cart ALTER cookie TYPE varchar(255)"}[i%2])
		before := served.Load()
		until(t, "clients go on", func() bool { return served.Load() >= before+2*clients })
	}
	cancel()
	for range clients {
		<-done
	}
}

// TestCartsGetIDsOfTheirOwnSequence restores the tables under the service, as pg_restore --clean does, and then gives the
// carts another sequence while the old one lives on.
func TestCartsGetIDsOfTheirOwnSequence(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s := open(t, url)
	createMany(t, s, 3)
	m, closer, err := postgres.Migrator(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closer(); err != nil {
			t.Error(err)
		}
	}()
	exec(t, url, "DELETE FROM cart")
	if _, err := m.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := createMany(t, s, 1)[0]; c.ID != 1 {
		t.Errorf("after the restore a cart has the id %d, want 1", c.ID)
	}
	exec(t, url, `
		ALTER SEQUENCE cart_id_seq OWNED BY NONE;
		CREATE SEQUENCE other START 1000 OWNED BY cart.id;
		ALTER TABLE cart ALTER id SET DEFAULT nextval('other');
		ALTER SEQUENCE cart_item_id_seq OWNED BY NONE;
		CREATE SEQUENCE others START 2000 OWNED BY cart_item.id;
		ALTER TABLE cart_item ALTER id SET DEFAULT nextval('others')`)
	if c := createMany(t, s, 1)[0]; c.ID != 1000 {
		t.Errorf("with another sequence a cart has the id %d, want 1000", c.ID)
	}
	if got := query(t, url, "SELECT max(id) FROM cart_item")[0]; got != "2000" {
		t.Errorf("with another sequence a line has the id %s, want 2000", got)
	}
}
