package app

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// rolePassword is that of every role of TestRoles.
const rolePassword = "s3cret"

// as returns the URL of a database on the same server, for another role.
func as(t *testing.T, server, role, database string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword(role, rolePassword), "/"+database
	return u.String()
}

// execute runs statements, as psql would run them from a file.
func execute(t *testing.T, url string, statements ...string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			return fmt.Errorf("%.100s: %w", statement, err)
		}
	}
	return nil
}

// file returns a file of the repository.
func file(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// TestRoles sets up the roles of deploy/postgres, migrates as one and serves as the other: on a new
// database, by an administrator who is no superuser, and on one of the Python service, by a superuser.
func TestRoles(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t).URL() // roles belong to the whole server
	err := execute(t, server,
		"CREATE ROLE admin LOGIN CREATEROLE PASSWORD '"+rolePassword+"'", "CREATE DATABASE fresh OWNER admin",
		"CREATE ROLE root LOGIN SUPERUSER PASSWORD '"+rolePassword+"'", "CREATE DATABASE adopted")
	if err != nil {
		t.Fatal(err)
	}
	// Before PostgreSQL 15 it belongs to a superuser, and not to the owner of the database.
	if err := execute(t, as(t, server, "root", "fresh"), "ALTER SCHEMA public OWNER TO admin"); err != nil {
		t.Fatal(err)
	}
	if err := execute(t, as(t, server, "root", "adopted"), file(t, "internal/postgres/testdata/legacy.sql")); err != nil {
		t.Fatal(err)
	}
	for _, db := range []struct{ admin, name string }{{"admin", "fresh"}, {"root", "adopted"}} {
		t.Run(db.name, func(t *testing.T) {
			admin, roles := as(t, server, db.admin, db.name), file(t, "deploy/postgres/roles.sql")
			err := execute(t, admin, roles,
				"ALTER ROLE sellio_cart_owner PASSWORD '"+rolePassword+"'",
				"ALTER ROLE sellio_cart_service PASSWORD '"+rolePassword+"'")
			if err != nil {
				t.Fatal(err)
			}
			owner := as(t, server, "sellio_cart_owner", db.name)
			if _, stderr, code := runOnce(t, []string{"migrate", "up"}, "DATABASE_URL="+owner); code != 0 {
				t.Fatalf("migrate as the owner: exit code %d\n%s", code, stderr)
			}
			service := as(t, server, "sellio_cart_service", db.name)
			serveAll(t, service) // also before the roles are set up again
			if err := execute(t, admin, roles); err != nil {
				t.Fatal(err)
			}
			serveAll(t, service)
			checkRights(t, admin)
			checkRefusals(t, service)
			checkBridge(t, owner, service)
		})
	}
}

// serveAll serves with this database, and calls every operation over REST and over gRPC.
func serveAll(t *testing.T, url string) {
	t.Helper()
	s := openShop(t, serve(t, "DATABASE_URL="+url))
	s.user += 1 << 32 // none of those in an old database
	c := s.add(1)
	ours := strings.NewReplacer("cart/1", fmt.Sprintf("cart/%d", c.ID), "[1]", fmt.Sprintf("[%d]", c.ID),
		"user_id=7", fmt.Sprintf("user_id=%d", s.user), `"user_id": 7`, fmt.Sprintf(`"user_id": %d`, s.user))
	for _, r := range requests {
		if a := s.send(r.method, ours.Replace(r.path), ours.Replace(r.body)); a.status/100 != 2 {
			t.Errorf("%s: status %d\n%s", a.request, a.status, a.body)
		}
	}
	testReflection(s)
}

// checkRights compares what the service's role may do with what it needs.
func checkRights(t *testing.T, url string) {
	t.Helper()
	db, _ := connect(t, url)
	rows, err := db.QueryContext(t.Context(), `
		SELECT table_name || ': ' || string_agg(privilege_type, ', ' ORDER BY privilege_type)
		FROM information_schema.role_table_grants WHERE grantee = 'sellio_cart_service'
		GROUP BY table_name ORDER BY table_name`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"cart: DELETE, INSERT, SELECT, UPDATE",
		"cart_item: DELETE, INSERT, SELECT, UPDATE",
		"cart_request: DELETE, INSERT, SELECT, UPDATE",
		"goose_db_version: SELECT",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rights of the service (-want +got):\n%s", diff)
	}
}

// checkRefusals tries what the service's role must not do.
func checkRefusals(t *testing.T, url string) {
	t.Helper()
	const insufficientPrivilege = "42501"
	for _, statement := range []string{
		"CREATE TABLE mine (id bigint)",
		"CREATE SCHEMA mine",
		"ALTER TABLE cart ADD COLUMN mine bigint",
		"ALTER TABLE cart DISABLE TRIGGER ALL",
		"ALTER SEQUENCE cart_id_seq RESTART",
		"CREATE INDEX ON cart_item (name)",
		"DROP INDEX uq_cart_company_user_active",
		"DROP TABLE cart_item",
		"TRUNCATE cart_item",
		"INSERT INTO goose_db_version (version_id, is_applied) VALUES (9, true)",
		"DELETE FROM goose_db_version",
		"SET ROLE sellio_cart_owner",
	} {
		err := execute(t, url, statement)
		if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != insufficientPrivilege {
			t.Errorf("%s: got %v, want it refused", statement, err)
		}
	}
	if _, stderr, code := runOnce(t, []string{"migrate", "down"}, "DATABASE_URL="+url); code != 1 {
		t.Errorf("migrate down as the service: exit code %d\n%s", code, stderr)
	}
}
