package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/sellio/sellio-cart/internal/config"
)

func TestPostgresForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, dsn string }{
		{"postgresql://u:p@h:5433/d", "postgresql://u:p@h:5433/d"},
		{"postgres://u@h", "postgresql://u@h/"},
		{"postgresql+asyncpg://u:p@h/d", "postgresql://u:p@h/d"},
		{"postgresql://", "postgresql:///"},
		{"postgresql://:p@h/", "postgresql://:p@h/"},
		{"postgresql://h1:1,h2:,[::1]:3/d?x=", "postgresql://h1:1,h2:,[::1]:3/d"},
		{"postgresql://u:1?x=y@h/d", "postgresql://u:1%3Fx%3Dy@h/d"},
		{"postgresql://u%40x:p%2F%3A%40@%2Frun%2Fpg/a%20b", "postgresql://u%40x:p%2F%3A%40@%2Frun%2Fpg/a%20b"},
		{"postgresql://h/d?application_name=a+b&&options=-c%20x=y&", "postgresql://h/d?application_name=a%2Bb&options=-c%20x%3Dy"},
		{"postgresql://h/d?sslmode=verify-full&pool_max_conns=4", "postgresql://h/d?sslmode=verify-full&pool_max_conns=4"},

		// SQLAlchemy takes these characters as they are.
		{"postgresql+asyncpg://u@t:a/b?c#d:e%zz%41+@h/d", "postgresql://u%40t:a%2Fb%3Fc%23d%3Ae%25zzA%2B@h/d"},
		{"postgresql+asyncpg://u:@h/d", "postgresql://u@h/d"},
		{"postgresql+asyncpg://h/d?application_name=a+b", "postgresql://h/d?application_name=a%20b"},
		{"postgresql+asyncpg://u:p@/d?host=h1:1&host=h2:2", "postgresql://u:p@h1:1,h2:2/d"},
		{"postgresql+asyncpg://u:p@/d?host=h1,h2&port=1,2", "postgresql://u:p@h1,h2/d?port=1%2C2"},
		{"postgresql+asyncpg://u:p@/d?host=/run/a:b", "postgresql://u:p@/d?host=%2Frun%2Fa%3Ab"},

		// asyncpg's options.
		{"postgresql+asyncpg://h/d?ssl=require", "postgresql://h/d?sslmode=require"},
		{"postgresql+asyncpg://h/d?ssl=disable&timeout=7", "postgresql://h/d?sslmode=disable&connect_timeout=7"},
		{"postgres://h/d?ssl=verify_full", "postgresql://h/d?sslmode=verify-full"},
		{"postgres://h/d?ssl=true", "postgresql://h/d?sslmode=require"},
		{"postgresql+asyncpg://h/d?prepared_statement_cache_size=500&command_timeout=60", "postgresql://h/d"},
		{"postgresql+asyncpg://h/d?prepared_statement_cache_size=0", "postgresql://h/d?default_query_exec_mode=cache_describe"},
		{"postgresql+asyncpg://h/d?statement_cache_size=0&gsslib=gssapi&krbsrvname=pg", "postgresql://h/d?default_query_exec_mode=cache_describe&krbsrvname=pg"},

		// libpq's that pgx does not know and need not.
		{"postgres://h/d?keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=9", "postgresql://h/d"},
		{"postgres://h/d?gssencmode=disable&sslcompression=0&sslmode=require", "postgresql://h/d?sslmode=require"},
		{"postgres://h/d?gssencmode=prefer&gssdelegation=0&ssl_min_protocol_version=TLSv1.2", "postgresql://h/d"},
		{"postgres://h/d?fallback_application_name=x&load_balance_hosts=disable", "postgresql://h/d"},
		{"postgres://h/d?channel_binding=require&target_session_attrs=any", "postgresql://h/d?channel_binding=require&target_session_attrs=any"},
	} {
		t.Run(tt.raw, func(t *testing.T) {
			t.Parallel()
			u, err := config.ParseDatabaseURL(tt.raw)
			if err != nil {
				t.Fatal(err)
			}
			if u.Kind() != config.Postgres {
				t.Errorf("Kind = %v", u.Kind())
			}
			if got := u.DSN(); got != tt.dsn {
				t.Errorf("DSN = %s\nwant  %s", got, tt.dsn)
			}
			if _, err := pgxpool.ParseConfig(u.DSN()); err != nil {
				t.Errorf("pgx refuses %s: %v", u.DSN(), err)
			}
		})
	}
}

func TestSQLiteForms(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"cart.db", "./a b.db", "/var/lib/sellio-cart/cart.db", "C:\\cart.db", "50%.db"} {
		u, err := config.ParseDatabaseURL("sqlite:" + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if u.Kind() != config.SQLite || u.DSN() != path || u.String() != "sqlite:"+path {
			t.Errorf("%s: got %v, %s, %s", path, u.Kind(), u.DSN(), u)
		}
	}
}

func TestBadDatabaseURLs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, held string }{
		{"hunter2", "…"},
		{"host=h password=hunter2", "…"},
		{"u:hunter2@h/d", "…"},
		{"mysql://u:hunter2@h/d", "mysql://…"},
		{"postgresql+psycopg2://u:hunter2@h/d", "postgresql+psycopg2://…"},
		{"postgresql:u:hunter2@h", "…"},
		{"postgresql://u:hunter2", "postgresql://…"},       // no host, so it stands where a port does
		{"postgresql://u:hun/ter2@h/d", "postgresql://…"},  // and again, up to the slash
		{"postgresql://u:1/hunter2@h/d", "postgresql://…"}, // even a port that is one
		{"postgresql://u:x@hunter2@h/d", "postgresql://…"},
		{"postgresql://u:x@y/hunter2@h/d", "postgresql://…"},
		{"postgresql://u:hunter2%zz@h/d", "postgresql://…"},
		{"postgresql://u:hunter2%00@h/d", "postgresql://…"},
		{"postgresql://u:hunter2@h%00/d", "postgresql://…"},
		{"postgresql://u:hunter2@h/d%2", "postgresql://…"},
		{"postgresql://u:hunter2@h:0/d", "postgresql://…"},
		{"postgresql://u:hunter2@h:65536/d", "postgresql://…"},
		{"postgresql://u:hunter2@h:x/d", "postgresql://…"},
		{"postgresql://u:hunter2@h h/d", "postgresql://…"},
		{"postgresql://u:hunter2@[::1/d", "postgresql://…"},
		{"postgresql://h/d?password=a&hunter2", "postgresql://…"},
		{"postgresql://h/d?password=hunter2%", "postgresql://…"},
		{"postgresql://h/d?=hunter2", "postgresql://…"},
		{"postgresql+asyncpg://u:x@hunter2@h/d", "postgresql+asyncpg://…"},
		{"postgresql+asyncpg://u:hunter2", "postgresql+asyncpg://…"},
		{"postgresql+asyncpg://u:hunter2@/d?host=a:b:c", "postgresql+asyncpg://…"},
		{"postgresql://u:hunter2@h/d?sslmode=on", "postgresql://u:xxxxx@h/d?sslmode=on"},
		{"postgresql+asyncpg://u:hunter2@h/d?ssl=false", "postgresql://u:xxxxx@h/d?sslmode=false"},
		{"postgresql://h/d?password=hunter2&port=1,x", "postgresql://h/d?password=xxxxx&port=1%2Cx"},
		{"postgresql://u:hunter2@h/d?connect_timeout=1.5", "postgresql://u:xxxxx@h/d?connect_timeout=1.5"},
		{"postgresql://u:hunter2@h/d?hostaddr=10.0.0.1", "postgresql://u:xxxxx@h/d?hostaddr=10.0.0.1"},
		{"postgresql://h/d?gssencmode=require", "postgresql://h/d?gssencmode=require"},
		{"postgresql://h/d?ssl_min_protocol_version=TLSv1.3", "postgresql://h/d?ssl_min_protocol_version=TLSv1.3"},
		{"postgresql://h/d?oauth_client_secret=hunter2", "postgresql://h/d?oauth_client_secret=xxxxx"},
		{"postgresql://h/d?scram_client_key=hunter2", "postgresql://h/d?scram_client_key=xxxxx"},
		{"sqlite:", "sqlite:…"},
		{"sqlite::memory:", "sqlite:…"},
		{"sqlite:file:cart.db", "sqlite:…"},
		{"sqlite:///cart.db", "sqlite://…"},
		{"sqlite:cart.db?mode=ro", "sqlite:…"},
		{"sqlite:a\nb", "sqlite:…"},
	} {
		t.Run(tt.raw, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load([]string{"DATABASE_URL=" + tt.raw}, t.TempDir())
			invalid, ok := errors.AsType[*config.InvalidError](err)
			if !ok || invalid.Name != "DATABASE_URL" {
				t.Fatalf("Load = %v, want an InvalidError of DATABASE_URL", err)
			}
			if invalid.Held != tt.held {
				t.Errorf("Held = %q, want %q", invalid.Held, tt.held)
			}
			if line := err.Error(); strings.Contains(line, "hunter2") || strings.Contains(line, "\n") {
				t.Errorf("want one line without the password, got %s", line)
			}
		})
	}
}

// forms prints v in every way that a program prints values in.
func forms(t fataler, v any) string {
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T", "%p", "%60v"} {
		fmt.Fprintf(&b, verb+"\n", v)
		fmt.Fprintf(&b, verb+"\n", &v)
	}
	fmt.Fprintln(&b, v, struct{ v any }{v}, []any{v}, map[string]any{"v": v})
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("started", "v", v, "in", struct{ V any }{v})
	}
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type fataler interface{ Fatal(...any) }

// hidden is a Config that fmt cannot ask for its methods.
type hidden struct{ c config.Config }

func TestNothingPrintsThePassword(t *testing.T) {
	t.Parallel()
	const raw = "postgresql://u:hunter2@h/d?password=hunter3&sslpassword=hunter4&sslmode=require"
	c, err := config.Load([]string{"DATABASE_URL=" + raw}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const want = "postgresql://u:xxxxx@h/d?password=xxxxx&sslpassword=xxxxx&sslmode=require"
	if got := value(t, c, "DATABASE_URL"); got != want {
		t.Errorf("in Settings: %s\nwant         %s", got, want)
	}
	if got := c.DatabaseURL.DSN(); got != raw {
		t.Errorf("DSN = %s\nwant  %s", got, raw)
	}
	for _, v := range []any{c, c.DatabaseURL, &c, hidden{c}, &hidden{c}, c.Settings()} {
		if printed := forms(t, v); strings.Contains(printed, "hunter") || strings.Contains(printed, fmt.Sprintf("%x", "hunter")) {
			t.Errorf("%T prints the password:\n%s", v, printed)
		}
	}
	if printed := fmt.Sprintf("%s %q %d", c.DatabaseURL, c.DatabaseURL, c.DatabaseURL); strings.Count(printed, want) != 3 {
		t.Errorf("not the redacted URL: %s", printed)
	}
}

func TestZeroDatabaseURL(t *testing.T) {
	t.Parallel()
	var u config.DatabaseURL
	if u.Kind() != 0 || u.DSN() != "" || u.String() != "" {
		t.Errorf("zero DatabaseURL = %v, %q, %q", u.Kind(), u.DSN(), u)
	}
	names := []string{config.Postgres.String(), config.SQLite.String(), u.Kind().String()}
	if diff := cmp.Diff([]string{"PostgreSQL", "SQLite", "Kind(0)"}, names); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

// encode percent-encodes every byte of s.
func encode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

// TestPgxSeesTheSame checks that any user, password and database reach pgx, encoded or as SQLAlchemy takes them.
func TestPgxSeesTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[^\x00]{1,20}`)
		user, password, database := text.Draw(t, "user"), text.Draw(t, "password"), text.Draw(t, "database")
		raw := rapid.StringMatching(`[^\x00@%]{1,20}`).Draw(t, "raw password")
		for _, tt := range []struct{ scheme, written, password string }{
			{"postgres", encode(password), password},
			{"postgresql+asyncpg", encode(password), password},
			{"postgresql+asyncpg", raw, raw},
		} {
			full := tt.scheme + "://" + encode(user) + ":" + tt.written + "@h:6432/" + encode(database)
			u, err := config.ParseDatabaseURL(full)
			if err != nil {
				t.Fatalf("%s: %v", full, err)
			}
			got, err := pgx.ParseConfig(u.DSN())
			if err != nil {
				t.Fatalf("pgx refuses %s: %v", u.DSN(), err)
			}
			if got.User != user || got.Password != tt.password || got.Database != database || got.Host != "h" || got.Port != 6432 {
				t.Fatalf("%s: pgx sees %q, %q, %q, %s, %d", full, got.User, got.Password, got.Database, got.Host, got.Port)
			}
		}
	})
}
