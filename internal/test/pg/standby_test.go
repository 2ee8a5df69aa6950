//go:build unix

package pgtest

import (
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
)

// A client that knows both hosts finds the primary, even after a failover.
func TestStandby(t *testing.T) {
	t.Parallel()
	primary := Start(t)
	before := connect(t, primary.URL())
	execute(t, before, "CREATE TABLE x AS SELECT generate_series(1, 1000) AS id")
	standby := Standby(t, primary)
	both := Hosts(t, standby.URL(), primary.URL()) + "&target_session_attrs=read-write"
	if readOnly := query[string](t, connect(t, standby.URL()), "SHOW transaction_read_only"); readOnly != "on" {
		t.Error("the standby takes writes")
	}
	// A commit that waited for the standby survives the loss of the primary.
	execute(t, before, "ALTER SYSTEM SET synchronous_standby_names = '*'")
	execute(t, before, "SELECT pg_reload_conf()")
	execute(t, before, "SET synchronous_commit = remote_apply")
	awaitTrue(t, before, "SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
	address := NewProxy(t, primary.URL())
	execute(t, connect(t, address.URL()), "INSERT INTO x VALUES (1001)")
	primary.Stop(Immediate)
	primary.Remove()
	standby.Promote()
	address.Redirect(standby)
	if n := query[int](t, connect(t, address.URL()), "SELECT count(*) FROM x"); n != 1001 {
		t.Errorf("%d rows at the address that moved, want those of the old primary", n)
	}
	conn := connect(t, both)
	execute(t, conn, "INSERT INTO x VALUES (1002)")
	if n := query[int](t, conn, "SELECT count(*) FROM x"); n != 1002 {
		t.Errorf("%d rows, want what both committed", n)
	}

	// A promoted standby may have a standby of its own.
	second := Standby(t, standby)
	if n := query[int](t, connect(t, second.URL()), "SELECT count(*) FROM x"); n != 1002 {
		t.Errorf("%d rows on the second standby, want those of the primary", n)
	}
	second.Stop(Fast)
	execute(t, conn, "INSERT INTO x VALUES (1003)")
	second.Restart()
	awaitTrue(t, connect(t, second.URL()), "SELECT count(*) = 1003 FROM x")
}

func awaitTrue(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	for !query[bool](t, conn, sql) {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	got, err := url.Parse(Hosts(t, "postgres://u:p@a:1/d?sslmode=disable", "postgres://v:q@b:2/e"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Host != "a:1,b:2" || got.Path != "/d" || got.User.String() != "u:p" || got.RawQuery != "sslmode=disable" {
		t.Errorf("the URL is %v", got)
	}
}

// A database may have another encoding than the others on the server.
func TestNewDatabaseWithOptions(t *testing.T) {
	t.Parallel()
	conn := connect(t, NewDatabase(t, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"))
	if got := query[string](t, conn, "SHOW server_encoding"); got != "LATIN1" {
		t.Errorf("the encoding is %s, want LATIN1", got)
	}
}
