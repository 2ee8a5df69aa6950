package config_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/config"
)

func TestDefaults(t *testing.T) {
	// The process's own environment must not be read.
	t.Setenv("HTTP_PORT", "1")
	t.Setenv("APP_ENV", "stray")
	c, err := config.Load(nil, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Settings() {
		if s.Value != s.Default {
			t.Errorf("%s: default %q is in force as %q", s.Name, s.Default, s.Value)
		}
	}
	if got := c.DatabaseURL.DSN(); got != "sellio-cart.db" {
		t.Errorf("DatabaseURL = %s", got)
	}
	c.DatabaseURL = config.DatabaseURL{}
	want := config.Config{
		HTTPPort:        8080,
		GRPCPort:        50051,
		AppEnv:          "local",
		LogLevel:        slog.LevelInfo,
		RequestTimeout:  5 * time.Second,
		ShutdownTimeout: 15 * time.Second,
		WriteLanes:      2,
		ReadLanes:       2,
		AuthMode:        "none",
		AdminPort:       9090,
		BatchSize:       256,
		QueueSize:       1024,
		ClientTimeout:   5 * time.Second,
		IdleTimeout:     2 * time.Minute,
		MaxConnections:  4096,
		CreateBurst:     10,
		IdempotencyTTL:  24 * time.Hour,
		MergePolicy:     "max",
		DocsEnabled:     true,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("Load = %+v, want %+v", c, want)
	}
	if !c.Local() {
		t.Error("Local = false by default")
	}
}

// value returns the value in force for a variable.
func value(t *testing.T, c config.Config, name string) string {
	t.Helper()
	for _, s := range c.Settings() {
		if s.Name == name {
			return s.Value
		}
	}
	t.Fatalf("no setting %s", name)
	return ""
}

func TestGoodValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, value, want string }{
		{"DATABASE_URL", "sqlite:/data/cart.db", "sqlite:/data/cart.db"},
		{"DATABASE_URL", " postgres://u@h/d\n", "postgresql://u@h/d"},
		{"HTTP_PORT", "0", "0"},
		{"HTTP_PORT", "65535", "65535"},
		{"HTTP_PORT", "", "8080"},
		{"HTTP_PORT", "  ", "8080"},
		{"GRPC_PORT", "1", "1"},
		{"APP_ENV", "local", "local"},
		{"APP_ENV", "Stage_2-eu", "Stage_2-eu"},
		{"LOG_LEVEL", "debug", "debug"},
		{"LOG_LEVEL", "INFO", "info"},
		{"LOG_LEVEL", "Warn", "warn"},
		{"LOG_LEVEL", "error", "error"},
		{"AUTO_MIGRATE", "true", "true"},
		{"AUTO_MIGRATE", "1", "true"},
		{"AUTO_MIGRATE", "False", "false"},
		{"AUTO_MIGRATE", "0", "false"},
		{"REQUEST_TIMEOUT", "100ms", "100ms"},
		{"REQUEST_TIMEOUT", "5m", "5m0s"},
		{"SHUTDOWN_TIMEOUT", "1s", "1s"},
		{"SHUTDOWN_TIMEOUT", "10m", "10m0s"},
		{"WRITE_LANES", "1", "1"},
		{"WRITE_LANES", "64", "64"},
		{"READ_LANES", "1", "1"},
		{"READ_LANES", "64", "64"},
		{"BATCH_SIZE", "1", "1"},
		{"BATCH_SIZE", "1000", "1000"},
		{"QUEUE_SIZE", "1", "1"},
		{"QUEUE_SIZE", "1000000", "1000000"},
		{"AUTH_MODE", "none", "none"},
		{"ADMIN_ADDRESS", "", ""},
		{"ADMIN_ADDRESS", "127.0.0.1", "127.0.0.1"},
		{"ADMIN_ADDRESS", "::1", "::1"},
		{"ADMIN_ADDRESS", "fe80::1%eth0", "fe80::1%eth0"},
		{"ADMIN_ADDRESS", "localhost", "localhost"},
		{"ADMIN_ADDRESS", "2.pods.example-1.com", "2.pods.example-1.com"},
		{"CLIENT_TIMEOUT", "100ms", "100ms"},
		{"IDLE_TIMEOUT", "1h", "1h0m0s"},
		{"MAX_CONNECTIONS", "1", "1"},
		{"CREATE_RATE", "0", "0"},
		{"IDEMPOTENCY_TTL", "1h", "1h0m0s"},
		{"MERGE_POLICY", "sum", "sum"},
		{"CREATE_BURST", "1", "1"},
		{"TRUSTED_PROXIES", "10.0.0.0/8, fd00::/8", "10.0.0.0/8,fd00::/8"},
		{"CORS_ORIGINS", "https://a.example, http://b.example:8080", "https://a.example,http://b.example:8080"},
		{"DOCS_ENABLED", "false", "false"},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load([]string{tt.name + "=" + tt.value, "UNKNOWN=x", "NOEQUALS"}, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if got := value(t, c, tt.name); got != tt.want {
				t.Errorf("in force: %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	const (
		port     = "a whole number from 0 to 65535"
		name     = "local, dev, prod or any other name of letters, digits, - and _"
		level    = "debug, info, warn or error"
		request  = "a duration from 100ms to 5m, such as 5s"
		shutdown = "a duration from 1s to 10m, such as 15s"
		lanes    = "a whole number from 1 to 64"
		mode     = "none, token or jwt"
		address  = "an IP address or a host name"
	)
	for _, tt := range []struct{ name, value, want string }{
		{"HTTP_PORT", "abc", port},
		{"HTTP_PORT", "-1", port},
		{"HTTP_PORT", "65536", port},
		{"HTTP_PORT", "80.5", port},
		{"HTTP_PORT", "99999999999999999999", port},
		{"HTTP_PORT", "80\n81", port},
		{"GRPC_PORT", ":50051", port},
		{"APP_ENV", "a b", name},
		{"APP_ENV", "prod\nx", name},
		{"APP_ENV", "é", name},
		{"LOG_LEVEL", "verbose", level},
		{"LOG_LEVEL", "info+2", level},
		{"AUTO_MIGRATE", "yes", "true or false"},
		{"AUTO_MIGRATE", "t", "true or false"},
		{"REQUEST_TIMEOUT", "5", request},
		{"REQUEST_TIMEOUT", "99ms", request},
		{"REQUEST_TIMEOUT", "5m1s", request},
		{"SHUTDOWN_TIMEOUT", "999ms", shutdown},
		{"SHUTDOWN_TIMEOUT", "11m", shutdown},
		{"WRITE_LANES", "0", lanes},
		{"WRITE_LANES", "65", lanes},
		{"READ_LANES", "0", lanes},
		{"READ_LANES", "65", lanes},
		{"BATCH_SIZE", "0", "a whole number from 1 to 1000"},
		{"BATCH_SIZE", "1001", "a whole number from 1 to 1000"},
		{"QUEUE_SIZE", "0", "a whole number from 1 to 1000000"},
		{"QUEUE_SIZE", "1000001", "a whole number from 1 to 1000000"},
		{"AUTH_MODE", "JWT", mode},
		{"AUTH_MODE", "token,jwt", mode},
		{"CLIENT_TIMEOUT", "0", "a duration from 100ms to 5m, such as 5s"},
		{"IDLE_TIMEOUT", "2h", "a duration from 100ms to 1h, such as 2m0s"},
		{"MAX_CONNECTIONS", "0", "a whole number from 1 to 1000000"},
		{"CREATE_RATE", "-1", "a whole number from 0 to 1000000"},
		{"IDEMPOTENCY_TTL", "59m", "a duration from 1h to 720h, such as 24h0m0s"},
		{"MERGE_POLICY", "most", "max, sum, guest, user, replace or keep"},
		{"CREATE_BURST", "0", "a whole number from 1 to 1000000"},
		{"TRUSTED_PROXIES", "10.0.0.0/8,10.1.1.1", "networks such as 10.0.0.0/8, separated by commas"},
		{"CORS_ORIGINS", "*", "origins such as https://shop.example.com, separated by commas"},
		{"CORS_ORIGINS", "*.example.com", "origins such as https://shop.example.com, separated by commas"},
		{"CORS_ORIGINS", "shop.example.com", "origins such as https://shop.example.com, separated by commas"},
		{"DOCS_ENABLED", "no", "true or false"},
		{"ADMIN_ADDRESS", "*", address},
		{"ADMIN_ADDRESS", "127.0.0.1:9090", address},
		{"ADMIN_ADDRESS", "[::1]", address},
		{"ADMIN_ADDRESS", "256.0.0.1", address},
		{"ADMIN_ADDRESS", "10.0.0.0/8", address},
		{"ADMIN_ADDRESS", "-admin.example", address},
		{"ADMIN_ADDRESS", "my_host", address},
	} {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load([]string{tt.name + "=" + tt.value}, t.TempDir())
			want := &config.InvalidError{Name: tt.name, Held: tt.value, Want: tt.want}
			got, ok := errors.AsType[*config.InvalidError](err)
			if !ok {
				t.Fatalf("Load = %v, want %v", err, want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("not one line: %v", err)
			}
			if !reflect.ValueOf(c).IsZero() {
				t.Errorf("a Config beside the error: %+v", c)
			}
		})
	}
}

func TestErrorLine(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{"HTTP_PORT=abc", "LOG_LEVEL=loud", "BATCH_SIZE=postgres://u:hunter2@h"}, t.TempDir())
	const want = `HTTP_PORT="abc": must be a whole number from 0 to 65535
LOG_LEVEL="loud": must be debug, info, warn or error
BATCH_SIZE="postgres://…": must be a whole number from 1 to 1000`
	if err == nil || err.Error() != want {
		t.Errorf("Load = %v\nwant   %s", err, want)
	}
}

func TestVariablesTogether(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title   string
		environ []string
		faulty  string // the variable that is refused, if any
	}{
		{"same port", []string{"HTTP_PORT=9000", "GRPC_PORT=9000"}, "GRPC_PORT"},
		{"port of the other's default", []string{"HTTP_PORT=50051"}, "GRPC_PORT"},
		{"any free ports", []string{"HTTP_PORT=0", "GRPC_PORT=0", "ADMIN_PORT=0"}, ""},
		{"metrics on the port of REST", []string{"HTTP_PORT=9090"}, "ADMIN_PORT"},
		{"metrics on the port of gRPC", []string{"ADMIN_PORT=50051"}, "ADMIN_PORT"},
		{"prod without database", []string{"APP_ENV=prod"}, "DATABASE_URL"},
		{"prod with empty database", []string{"APP_ENV=prod", "DATABASE_URL="}, "DATABASE_URL"},
		{"prod with SQLite", []string{"APP_ENV=prod", "DATABASE_URL=sqlite:/data/cart.db"}, ""},
		{"PROD without database", []string{"APP_ENV=PROD"}, "DATABASE_URL"},
		{"Production without database", []string{"APP_ENV=Production"}, "DATABASE_URL"},
		{"dev without database", []string{"APP_ENV=dev"}, ""},
		{"no tokens", []string{"AUTH_MODE=token"}, "AUTH_TOKENS"},
		{"tokens in a file", []string{"AUTH_MODE=token", "AUTH_TOKENS_FILE=tokens"}, ""},
		{"tokens for nobody", []string{"AUTH_TOKENS=" + tokenA}, "AUTH_MODE"},
		{"file of tokens for nobody", []string{"AUTH_TOKENS_FILE=tokens"}, "AUTH_MODE"},
		{"JWTs of nobody", []string{"AUTH_JWKS=keys"}, "AUTH_MODE"},
		{"JWTs among tokens", []string{"AUTH_MODE=token", "AUTH_TOKENS=" + tokenA, "AUTH_JWT_AUDIENCE=a"}, "AUTH_MODE"},
		{"JWTs", []string{"AUTH_MODE=jwt", "AUTH_JWT_ISSUER=i", "AUTH_JWT_AUDIENCE=a", "AUTH_JWKS=/keys/jwks@1.json"}, ""},
		{"JWTs and tokens", []string{"AUTH_MODE=jwt", "AUTH_JWT_ISSUER=i", "AUTH_JWT_AUDIENCE=a", "AUTH_JWKS=http://h:1/k", "AUTH_TOKENS=" + tokenA}, ""},
		{"JWTs without issuer", []string{"AUTH_MODE=jwt", "AUTH_JWT_AUDIENCE=a", "AUTH_JWKS=keys"}, "AUTH_JWT_ISSUER"},
		{"JWTs without audience", []string{"AUTH_MODE=jwt", "AUTH_JWT_ISSUER=i", "AUTH_JWKS=keys"}, "AUTH_JWT_AUDIENCE"},
		{"JWTs without keys", []string{"AUTH_MODE=jwt", "AUTH_JWT_ISSUER=i", "AUTH_JWT_AUDIENCE=a"}, "AUTH_JWKS"},
		{"keys with a password", []string{"AUTH_MODE=jwt", "AUTH_JWT_ISSUER=i", "AUTH_JWT_AUDIENCE=a", "AUTH_JWKS=https://u:p@h/k"}, "AUTH_JWKS"},
		{"certificate without key", []string{"TLS_CERT_FILE=a"}, "TLS_KEY_FILE"},
		{"key without certificate", []string{"TLS_KEY_FILE=a"}, "TLS_CERT_FILE"},
		{"authorities without TLS", []string{"GRPC_CLIENT_CA_FILE=a"}, "GRPC_CLIENT_CA_FILE"},
		{"all of TLS", []string{"TLS_CERT_FILE=a", "TLS_KEY_FILE=b", "GRPC_CLIENT_CA_FILE=c"}, ""},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(tt.environ, t.TempDir())
			if tt.faulty == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			invalid, ok := errors.AsType[*config.InvalidError](err)
			if !ok || invalid.Name != tt.faulty || strings.Contains(err.Error(), "\n") {
				t.Errorf("Load = %v, want one line about %s", err, tt.faulty)
			}
		})
	}
}

// dirWith returns a folder whose .env holds content.
func dirWith(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestDotenv(t *testing.T) {
	t.Parallel()
	dir := dirWith(t, "# settings\nHTTP_PORT=9001\nexport GRPC_PORT=9002 # why\nLOG_LEVEL=\"debug \"\n\nBATCH_SIZE=\nREAD_LANES=7\nDATABASE_URL='sqlite:/$HOME/cart.db'")
	c, err := config.Load([]string{"HTTP_PORT=9003", "READ_LANES="}, dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"HTTP_PORT":    "9003", // the environment wins,
		"READ_LANES":   "7",    // but not with an empty value
		"GRPC_PORT":    "9002",
		"LOG_LEVEL":    "debug",
		"BATCH_SIZE":   "256",
		"DATABASE_URL": "sqlite:/$HOME/cart.db",
	} {
		if got := value(t, c, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestDotenvWithByteOrderMark(t *testing.T) {
	t.Parallel()
	c, err := config.Load(nil, dirWith(t, "\ufeffHTTP_PORT=9001\r\n"))
	if err != nil || c.HTTPPort != 9001 {
		t.Errorf("port %d, %v", c.HTTPPort, err)
	}
}

// TestDollars is about values in .env with a $, which may begin a name or be a part of a password.
func TestDollars(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ title, content, want string }{ // want is the database's name, "" where the value is refused
		{"of another variable", "NAME=d\nDATABASE_URL=postgres://h/$NAME", "d"},
		{"in braces", "NAME=d\nDATABASE_URL=\"postgres://h/${NAME}1\"", "d1"},
		{"of an empty variable", "EMPTY=\nDATABASE_URL=postgres://h/d$EMPTY", "d"},
		{"in single quotes", "DATABASE_URL='postgres://h/a$Sword'", "a$Sword"},
		{"after a backslash", `DATABASE_URL=postgres://h/a\$Sword`, "a$Sword"},
		{"before a small letter", "DATABASE_URL=postgres://h/a$word$", "a$word$"},
		{"in another variable", "PROMPT=$PS1\nDATABASE_URL=postgres://h/d", "d"},
		{"in a comment", "# $HOME\nDATABASE_URL=postgres://h/d", "d"},
		{"of no variable", "DATABASE_URL=postgres://h/a$Sword", ""},
		{"of a digit", "DATABASE_URL=postgres://h/a$1", ""},
		{"in double quotes", `DATABASE_URL="postgres://h/a$Sword"`, ""},
		{"of a variable below", "DATABASE_URL=postgres://h/$NAME\nNAME=d", ""},
		{"of a variable that lost one", "NAME=a$Sword\nDATABASE_URL=postgres://h/$NAME", ""},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(nil, dirWith(t, tt.content))
			if tt.want != "" {
				if parsed, failed := pgx.ParseConfig(c.DatabaseURL.DSN()); err != nil || failed != nil || parsed.Database != tt.want {
					t.Errorf("%v, %v, database %s; want %s", err, failed, c.DatabaseURL, tt.want)
				}
				return
			}
			invalid, ok := errors.AsType[*config.InvalidError](err)
			if !ok || invalid.Name != "DATABASE_URL" || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "word") {
				t.Errorf("Load = %v, want one line about DATABASE_URL that shows nothing of it", err)
			}
			if c, err := config.Load([]string{"DATABASE_URL=postgres://h/e"}, dirWith(t, tt.content)); err != nil {
				t.Errorf("beside a value of the environment: %v, %v", c, err)
			}
		})
	}
}

// TestAppEnv checks that the names that mean something do so in letters of any case.
func TestAppEnv(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ local, prod bool }{
		"local": {true, false}, "Local": {true, false}, "prod": {false, true}, "PROD": {false, true},
		"production": {false, true}, "Production": {false, true}, "dev": {}, "prod-eu": {},
	} {
		c, err := config.Load([]string{"APP_ENV=" + name, "DATABASE_URL=postgres://h/d"}, t.TempDir())
		if err != nil || c.Local() != want.local || c.Prod() != want.prod {
			t.Errorf("%s: local %t, prod %t, %v; want %+v", name, c.Local(), c.Prod(), err, want)
		}
	}
}

func TestMalformedDotenv(t *testing.T) {
	t.Parallel()
	for title, content := range map[string]string{
		"no variable":       "hunter2",
		"no variable first": "hunter2\nHTTP_PORT=1\n",
		"no name":           "=hunter2",
		"open quote":        "DATABASE_URL='postgres://u:hunter2@h",
		"bad name":          "A B-C=hunter2",
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			dir := dirWith(t, content)
			_, err := config.Load(nil, dir)
			if err == nil {
				t.Fatal("accepted")
			}
			line := err.Error()
			if !strings.Contains(line, filepath.Join(dir, ".env")) || strings.Contains(line, "hunter2") || strings.Contains(line, "\n") {
				t.Errorf("want one line that names the file and quotes nothing of it, got %s", line)
			}
		})
	}
}

func TestUnreadableDotenv(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, ".env")
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(nil, dir); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Load = %v, want an error that names %s", err, file)
	}
}

func TestSettingsAreDescribed(t *testing.T) {
	t.Parallel()
	for _, s := range (config.Config{}).Settings() {
		if s.Name == "" || s.Holds == "" || s.Doc == "" {
			t.Errorf("incomplete: %+v", s)
		}
		if strings.ContainsAny(s.Holds+s.Doc, "|\n") {
			t.Errorf("does not fit a table: %+v", s)
		}
	}
}
