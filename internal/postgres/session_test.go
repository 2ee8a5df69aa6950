package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/postgres"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// oddSettings are settings that a database or a role may have, and that must make no difference.
var oddSettings = []string{
	"client_encoding = 'LATIN1'", "datestyle = 'SQL, DMY'", "intervalstyle = 'iso_8601'", "timezone = 'Asia/Kolkata'",
	"standard_conforming_strings = off", "bytea_output = 'escape'", "extra_float_digits = -15", "lc_monetary = 'C'",
	"quote_all_identifiers = on", "array_nulls = off", "transform_null_equals = on", "row_security = off",
	"default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on",
	"plan_cache_mode = 'force_custom_plan'", "enable_nestloop = off", "enable_indexscan = off", "jit_above_cost = 0",
	"lock_timeout = '10min'",
}

// newOddDatabase returns the URL of an empty, migrated database with the oddSettings.
func newOddDatabase(t testing.TB) string {
	t.Helper()
	url := newDatabase(t)
	set(t, url, oddSettings...)
	return url
}

// set changes settings of the database.
func set(t testing.TB, url string, settings ...string) {
	t.Helper()
	for _, s := range settings {
		exec(t, url, fmt.Sprintf("ALTER DATABASE %s SET %s", parse(t, url).Database, s))
	}
}

// TestOddSettings runs the suites on databases with odd settings: on plain connections, and with the option that
// poolers need, which sends more values as text.
func TestOddSettings(t *testing.T) {
	t.Parallel()
	odd := func(option string) func(testing.TB) string {
		return func(t testing.TB) string { return withOption(newOddDatabase(t), option) }
	}
	bare := func(_ testing.TB, s *postgres.Store) cart.Store { return s }
	gathered := func(t testing.TB, s *postgres.Store) cart.Service { return service(t, s) }
	t.Run("store", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, suiteDatabase(odd(""), bare))
	})
	t.Run("store behind a pooler", func(t *testing.T) {
		t.Parallel()
		storetest.Run(t, suiteDatabase(odd("default_query_exec_mode=exec"), bare))
	})
	t.Run("commands behind a pooler", func(t *testing.T) {
		t.Parallel()
		storetest.RunCommands(t, suiteDatabase(odd("default_query_exec_mode=exec"), gathered))
	})
}

// settingsSQL shows settings that the statements rely on.
const settingsSQL = `SELECT concat_ws(' ', current_setting('transaction_isolation'), current_setting('enable_seqscan'),
	current_setting('enable_nestloop'), current_setting('enable_mergejoin'),
	current_setting('jit'), current_setting('lock_timeout'), current_setting('plan_cache_mode'))`

// TestSettingsAreInForce has the database record the settings under which it runs a save: on a plain connection, behind a
// pooler that takes no settings, and behind one that ignores them.
func TestSettingsAreInForce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		option string
		ignore bool
	}{
		"direct":            {"", false},
		"none taken":        {"default_query_exec_mode=exec", false},
		"as asyncpg would":  {"default_query_exec_mode=cache_describe", false},
		"simple protocol":   {"default_query_exec_mode=simple_protocol", false},
		"ignored":           {"", true},
		"other in the URL":  {"lock_timeout=7min&ENABLE_SEQSCAN=on&DateStyle=German", false},
		"other in options":  {"options=-clock_timeout%3D7min%20-cenable_seqscan%3Don", false},
		"other in the mode": {"lock_timeout=7min&default_query_exec_mode=exec", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newOddDatabase(t)
			exec(t, url, `
				CREATE TABLE seen (settings text);
				CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					INSERT INTO seen `+settingsSQL+`; RETURN NEW; END $$;
				CREATE TRIGGER see AFTER INSERT ON cart FOR EACH ROW EXECUTE FUNCTION see()`)
			s := open(t, withOption(url, tc.option), func(cfg *pgxpool.Config) {
				if tc.ignore {
					clear(cfg.ConnConfig.RuntimeParams)
				}
			})
			createMany(t, s, 1)
			const want = "read committed off on off off 100ms force_generic_plan"
			if got := query(t, url, `SELECT settings FROM seen`); len(got) != 1 || got[0] != want {
				t.Errorf("a save ran with %q, want %q", got, want)
			}
		})
	}
}

// TestOperatorsSettingsStay checks that the store leaves alone what an operator decides.
func TestOperatorsSettingsStay(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	exec(t, url, `CREATE SCHEMA shop; ALTER TABLE cart SET SCHEMA shop; ALTER TABLE cart_item SET SCHEMA shop`)
	set(t, url, "search_path = shop, public", "synchronous_commit = remote_apply", "statement_timeout = '77s'")
	s := open(t, url)
	exec(t, url, `
		CREATE TABLE shop.seen (settings text);
		CREATE FUNCTION shop.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO shop.seen SELECT concat_ws(' ', current_setting('synchronous_commit'), current_setting('statement_timeout'));
			RETURN NEW; END $$;
		CREATE TRIGGER see AFTER INSERT ON cart FOR EACH ROW EXECUTE FUNCTION shop.see()`)
	createMany(t, s, 1)
	if got := query(t, url, `SELECT settings FROM seen`); len(got) != 1 || got[0] != "remote_apply 77s" {
		t.Errorf("a save ran with %q", got)
	}
}

// TestOtherEncodingsAreRefused checks that carts are kept in UTF8 only: other encodings do not store every name as
// it came, nor return text from other clients as UTF-8.
func TestOtherEncodingsAreRefused(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			server := pgtest.NewDatabase(t)
			name := strings.ToLower(parse(t, server).Database + "_" + encoding)
			exec(t, server, fmt.Sprintf(`CREATE DATABASE %s ENCODING '%s' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'`, name, encoding))
			t.Cleanup(func() { exec(t, server, "DROP DATABASE "+name) })
			url := strings.Replace(server, "/"+parse(t, server).Database, "/"+name, 1)
			refused := func(what string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), encoding) || !strings.Contains(err.Error(), "must have UTF8") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v, want one line that says which encoding there must be", what, err)
				}
			}
			refused("migrate", migrate(t.Context(), url))
			_, err := postgres.Open(t.Context(), url, 2)
			refused("open", err)
		})
	}
}
