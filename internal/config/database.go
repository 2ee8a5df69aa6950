package config

import (
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"unicode"
)

// Kind is a kind of database.
type Kind int

// The supported kinds of database.
const (
	Postgres Kind = iota + 1
	SQLite
)

// String returns the name of k for display.
func (k Kind) String() string {
	switch k {
	case Postgres:
		return "PostgreSQL"
	case SQLite:
		return "SQLite"
	default:
		return fmt.Sprintf("Kind(%d)", int(k))
	}
}

// DatabaseURL is where the carts are stored. fmt, log/slog and encoders print it without its passwords; only DSN returns
// them.
type DatabaseURL struct {
	kind     Kind
	redacted string
	// dsn is behind a pointer because fmt prints the fields of an unexported field without asking their methods, but
	// follows no pointers there.
	dsn *string
}

// ParseDatabaseURL reads a value of DATABASE_URL. All errors are *InvalidError.
//
// PostgreSQL URLs are read as libpq reads them. Those that begin with postgresql+asyncpg:// are read as SQLAlchemy does,
// which takes more characters unencoded. In all of them the options of asyncpg and libpq are translated for pgx, dropped
// where they only tune a connection, or refused where pgx cannot honour them. A URL is refused where its password might be
// mistaken for another part, because an @ in it is not encoded.
func ParseDatabaseURL(raw string) (DatabaseURL, error) {
	scheme, rest, _ := strings.Cut(raw, ":")
	switch address, isURL := strings.CutPrefix(rest, "//"); {
	case scheme == "sqlite":
		return parseSQLite(raw, rest)
	case isURL && (scheme == "postgresql" || scheme == "postgres"):
		return parsePostgres(raw, address, false)
	case isURL && scheme == "postgresql+asyncpg":
		return parsePostgres(raw, address, true)
	default:
		return DatabaseURL{}, invalidDatabaseURL(schemeOnly(raw), databaseURLForms())
	}
}

// parseSQLite takes path as it is. It refuses a path that SQLite or SQLAlchemy would read as something else.
func parseSQLite(raw, path string) (DatabaseURL, error) {
	switch {
	case path == "", path == ":memory:", strings.HasPrefix(path, "file:"), strings.HasPrefix(path, "//"),
		strings.ContainsAny(path, "?#"), strings.ContainsFunc(path, unicode.IsControl):
		return DatabaseURL{}, invalidDatabaseURL(schemeOnly(raw),
			"sqlite:PATH, where PATH is that of a file, without ? and #, such as sqlite:/var/lib/sellio-cart/cart.db")
	}
	return DatabaseURL{kind: SQLite, redacted: "sqlite:" + path, dsn: &path}, nil
}

// parsePostgres reads what follows the scheme of raw.
func parsePostgres(raw, address string, sqlalchemy bool) (DatabaseURL, error) {
	u, err := parsePostgresURL(address, sqlalchemy)
	if err != nil {
		return DatabaseURL{}, invalidDatabaseURL(schemeOnly(raw), err.Error())
	}
	redacted, dsn := u.redacted().String(), u.String()
	if err := u.checkOptions(); err != nil {
		return DatabaseURL{}, invalidDatabaseURL(redacted, err.Error())
	}
	return DatabaseURL{kind: Postgres, redacted: redacted, dsn: &dsn}, nil
}

// Kind returns the kind of the database, 0 for the zero DatabaseURL.
func (u DatabaseURL) Kind() Kind { return u.kind }

// DSN returns the data source name for the driver, passwords included: for PostgreSQL a postgresql:// URL that pgx understands, for
// SQLite the path of the file.
func (u DatabaseURL) DSN() string {
	if u.dsn == nil {
		return ""
	}
	return *u.dsn
}

// String returns the URL with xxxxx for each password.
func (u DatabaseURL) String() string { return u.redacted }

// Format prints String for every verb, also for those that would print the fields.
func (u DatabaseURL) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), u.redacted)
}

// LogValue returns String.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.redacted) }

// MarshalText returns String. JSON and YAML use it.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.redacted), nil }

func invalidDatabaseURL(held, want string) error {
	return &InvalidError{Name: "DATABASE_URL", Held: held, Want: want}
}

// databaseURLForms returns the valid forms of DATABASE_URL, in words.
func databaseURLForms() string { return holdsOf("DatabaseURL") }

var urlScheme = regexp.MustCompile(`^(?:[a-z][a-z0-9+]*://|sqlite:)`)

// schemeOnly returns the scheme of a URL that cannot be parsed. Any other part may be a password.
func schemeOnly(raw string) string { return urlScheme.FindString(raw) + "…" }
