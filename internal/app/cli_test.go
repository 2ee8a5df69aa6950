package app

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

func TestHelpNamesEverySubcommand(t *testing.T) {
	t.Parallel()
	out, _, code := runOnce(t, []string{"--help"})
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	for _, name := range []string{"serve", "migrate", "healthcheck", "config", "version"} {
		if !strings.Contains(out, "\n  "+name) {
			t.Errorf("--help does not name %s:\n%s", name, out)
		}
		if help, _, code := runOnce(t, []string{name, "--help"}); code != 0 || !strings.Contains(help, "Usage:") {
			t.Errorf("%s --help: exit code %d\n%s", name, code, help)
		}
	}
}

func TestBadStartIsOneLine(t *testing.T) {
	t.Parallel()
	empty := pgtest.NewDatabase(t)
	for name, tc := range map[string]struct {
		args []string
		env  []string
		want []string // parts of the line
	}{
		"bad value":           {nil, []string{"LOG_LEVEL=loud"}, []string{`LOG_LEVEL="loud"`, "debug, info, warn or error"}},
		"prod on a toy":       {nil, []string{"APP_ENV=prod"}, []string{"DATABASE_URL"}},
		"unknown exporter":    {nil, []string{"OTEL_TRACES_EXPORTER=zipkin"}, []string{`OTEL_TRACES_EXPORTER="zipkin"`, "otlp or none"}},
		"unknown protocol":    {nil, []string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=udp"}, []string{`OTEL_EXPORTER_OTLP_PROTOCOL="udp"`, "grpc"}},
		"collector no URL":    {nil, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=user:s3cret@host"}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "a URL"}},
		"bad attributes":      {nil, []string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_RESOURCE_ATTRIBUTES=nothing"}, []string{"OTEL_RESOURCE_ATTRIBUTES"}},
		"unknown subcommand":  {[]string{"fly"}, nil, []string{`"fly"`}},
		"unknown flag":        {[]string{"--fly"}, nil, []string{"--fly"}},
		"old schema":          {nil, []string{"DATABASE_URL=" + empty}, []string{"sellio-cart migrate up", "AUTO_MIGRATE=true"}},
		"nobody at that port": {nil, []string{"DATABASE_URL=postgresql://u:s3cret@127.0.0.1:1/x"}, []string{"127.0.0.1:1"}},
		"no such address":     {nil, []string{"ADMIN_ADDRESS=192.0.2.1"}, []string{"192.0.2.1"}},
		"option of libpq":     {nil, []string{"DATABASE_URL=postgresql://u:s3cret@h/d?sslcrl=/etc/crl.pem"}, []string{"DATABASE_URL", "without the option sslcrl"}},
		"no such folder":      {nil, []string{"DATABASE_URL=sqlite:/nonexistent/folder/cart.db"}, []string{"/nonexistent/folder/cart.db"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stderr, code := runOnce(t, tc.args, tc.env...)
			if code != 1 || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "sellio-cart: ") {
				t.Errorf("exit code %d, want 1 and one line:\n%s", code, stderr)
			}
			for _, part := range tc.want {
				if !strings.Contains(stderr, part) {
					t.Errorf("the line does not say %q:\n%s", part, stderr)
				}
			}
			if strings.Contains(stderr, "s3cret") {
				t.Errorf("the line shows the password:\n%s", stderr)
			}
		})
	}
}

func TestPortInUseIsOneLine(t *testing.T) {
	t.Parallel()
	first := serve(t)
	port := first.rest[strings.LastIndex(first.rest, ":")+1:]
	_, stderr, code := runOnce(t, nil, "HTTP_PORT="+port)
	if code != 1 || !strings.Contains(stderr, "HTTP_PORT="+port) || strings.Count(stderr, "sellio-cart: ") != 1 {
		t.Errorf("exit code %d, want 1 and a line about HTTP_PORT:\n%s", code, stderr)
	}
}

func TestConfigShowsSettingsWithoutPasswords(t *testing.T) {
	t.Parallel()
	out, _, code := runOnce(t, []string{"config"}, "DATABASE_URL=postgresql://u:s3cret@h/d", "QUEUE_SIZE=17")
	if code != 0 || !strings.Contains(out, "\nQUEUE_SIZE=17\n") || !strings.Contains(out, "postgresql://u:xxxxx@h/d") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if strings.Contains(out, "s3cret") {
		t.Errorf("shows the password:\n%s", out)
	}
}

func TestDotEnvIsRead(t *testing.T) {
	t.Parallel()
	cmd := command(t, []string{"config"}, "BATCH_SIZE=9")
	if err := os.WriteFile(filepath.Join(cmd.Dir, ".env"), []byte("QUEUE_SIZE=18\nBATCH_SIZE=8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "\nQUEUE_SIZE=18\n") || !strings.Contains(string(out), "\nBATCH_SIZE=9\n") {
		t.Errorf("%v, want the file's QUEUE_SIZE and the environment's BATCH_SIZE:\n%s", err, out)
	}
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "127.0.0.1", "localhost", "0.0.0.0", "::"} {
		t.Run("on "+address, func(t *testing.T) {
			t.Parallel()
			env := "ADMIN_ADDRESS=" + address
			p := serve(t, env)
			port := p.admin[strings.LastIndex(p.admin, ":")+1:]
			if _, stderr, code := runOnce(t, []string{"healthcheck"}, env, "ADMIN_PORT="+port); code != 0 {
				t.Errorf("of a service that runs: exit code %d\n%s", code, stderr)
			}
		})
	}
	for _, port := range []string{"0", "1"} {
		if _, stderr, code := runOnce(t, []string{"healthcheck"}, "ADMIN_PORT="+port); code != 1 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("of none, at port %s: exit code %d\n%s", port, code, stderr)
		}
	}
}

// TestAdminAddress opens the admin port on one address of two.
func TestAdminAddress(t *testing.T) {
	t.Parallel()
	p := serve(t, "ADMIN_ADDRESS=127.0.0.2")
	_, port, err := net.SplitHostPort(strings.TrimPrefix(p.admin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	if p.admin != "http://127.0.0.2:"+port {
		t.Errorf("the log says that it is at %s", p.admin)
	}
	p.scrape()
	if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
		conn.Close()
		t.Error("it is reached on another address")
	}
}

// TestOptionsOfLibpq starts with the options that URLs of providers and tools often have.
func TestOptionsOfLibpq(t *testing.T) {
	t.Parallel()
	url := databases[0].url(t)
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	p := serve(t, "DATABASE_URL="+url+separator+"keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&"+
		"tcp_user_timeout=9000&gssencmode=disable&sslcompression=0&channel_binding=prefer&fallback_application_name=shop&"+
		"options=-c%20statement_timeout%3D9000&load_balance_hosts=random")
	openShop(t, p).add(1)
}

func TestMigrateSubcommands(t *testing.T) {
	t.Parallel()
	onEmpty := map[string]string{
		"PostgreSQL": asyncpgURL(pgtest.NewDatabase(t)),
		"SQLite":     "sqlite:" + t.TempDir() + "/cart.db",
	}
	for name, url := range onEmpty {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, step := range []struct {
				sub, want string
				code      int
			}{
				{"version", "the schema is at version 0 of", 0},
				{"status", "pending", 0},
				{"up", "applied 00001_", 0},
				{"up", "the schema is at version", 0},
				{"status", "Z  00001_", 0},
				{"down", "took back", 0},
				{"up", "applied", 0},
			} {
				out, stderr, code := runOnce(t, []string{"migrate", step.sub}, "DATABASE_URL="+url)
				if code != step.code || !strings.Contains(out, step.want) {
					t.Errorf("migrate %s: exit code %d, want %d and %q:\n%s%s", step.sub, code, step.code, step.want, out, stderr)
				}
			}
			serve(t, "DATABASE_URL="+url)
		})
	}
}

func TestInstancesMayStartAtOnce(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"PostgreSQL": pgtest.NewDatabase(t),
		"SQLite":     "sqlite:" + t.TempDir() + "/cart.db",
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 3 {
				t.Run(string(rune('A'+i)), func(t *testing.T) {
					t.Parallel()
					serve(t, "DATABASE_URL="+url, "AUTO_MIGRATE=true")
				})
			}
		})
	}
}

func TestLogIsJSONOutsideOfLocal(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(databases[0].url(t))
	if err != nil {
		t.Fatal(err)
	}
	password, asked := u.User.Password()
	if !asked { // the server takes any
		password = "s3cret"
		u.User = url.UserPassword(u.User.Username(), password)
	}
	p := serve(t, "APP_ENV=prod", "DATABASE_URL="+u.String())
	if log := p.logged(); !strings.HasPrefix(log, "{") || strings.Contains(log, password) {
		t.Errorf("the log of a start, which must be JSON without the password:\n%s", log)
	}
}
