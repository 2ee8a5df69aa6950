package config

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// postgresURL is a PostgreSQL URL in its decoded parts. net/url cannot read one: libpq allows several hosts.
type postgresURL struct {
	user, password string
	hosts          string // as in the URL: HOST[:PORT][,…]
	database       string
	options        []option
}

type option struct{ name, value string }

var sslModes = []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// parsePostgresURL parses the part after the scheme, as libpq does, or as SQLAlchemy does. Errors do not quote it; they
// complete the sentence "must be".
func parsePostgresURL(address string, sqlalchemy bool) (postgresURL, error) {
	if sqlalchemy {
		address = fromSQLAlchemy(address)
	}
	var userinfo string
	if i := strings.IndexAny(address, "@/"); i >= 0 && address[i] == '@' {
		userinfo, address = address[:i], address[i+1:]
	}
	if strings.Contains(address, "@") {
		return postgresURL{}, errors.New("a URL in which each @ is written %40, save the one before the host, and each / in a password %2F")
	}
	user, password, _ := strings.Cut(userinfo, ":")
	address, query, _ := strings.Cut(address, "?")
	hosts, database, _ := strings.Cut(address, "/")

	u := postgresURL{hosts: hosts}
	var errs [4]error // their texts are dropped: they quote the URL
	u.user, errs[0] = unescape(user)
	u.password, errs[1] = unescape(password)
	u.database, errs[2] = unescape(database)
	u.options, errs[3] = parseOptions(query)
	if err := errors.Join(errs[:]...); err != nil {
		return postgresURL{}, errors.New("a URL whose options are NAME=VALUE, joined by &, and in which a % itself is written %25")
	}
	if sqlalchemy {
		u.liftHosts()
	}
	return u, checkHosts(u.hosts)
}

// parseOptions reads and translates the options. One without a value is as good as none.
func parseOptions(query string) ([]option, error) {
	var options []option
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, found := strings.Cut(pair, "=")
		name, nameErr := unescape(rawName)
		value, valueErr := unescape(rawValue)
		if !found || name == "" || nameErr != nil || valueErr != nil {
			return nil, errors.New("malformed option")
		}
		if o := translate(option{name, value}); o.name != "" && o.value != "" {
			options = append(options, o)
		}
	}
	return options, nil
}

// translate returns an option of asyncpg or libpq as pgx has it, the zero option where leaving it out changes nothing that
// matters, and any other option as it is.
func translate(o option) option {
	switch o.name {
	case "ssl":
		// asyncpg also takes verify_full for verify-full; libpq takes ssl=true.
		if o.value == "true" {
			o.value = "require"
		}
		return option{"sslmode", strings.ReplaceAll(o.value, "_", "-")}
	case "timeout":
		return option{"connect_timeout", o.value}
	case "prepared_statement_cache_size", "statement_cache_size":
		// 0 is how deployments behind PgBouncer turn named prepared statements off. Other sizes suit another cache.
		if o.value == "0" {
			return option{"default_query_exec_mode", "cache_describe"}
		}
		return option{}
	case "command_timeout", "max_cached_statement_lifetime", "max_cacheable_statement_size", "async_fallback":
		return option{} // tune asyncpg
	case "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout":
		return option{} // Go sends keepalives, and REQUEST_TIMEOUT finds connections that are dead
	case "sslcompression", "gsslib", "gssdelegation", "fallback_application_name", "load_balance_hosts":
		return option{} // tune what pgx does not do, or has by another name
	case "gssencmode":
		if o.value != "require" {
			return option{}
		}
	case "ssl_min_protocol_version":
		if o.value != "TLSv1.3" { // Go demands at least 1.2 as it is
			return option{}
		}
	}
	return o
}

// unsupported are options of libpq that pgx does not know, and that may not be ignored. It would send them to the server,
// which has no settings of these names.
var unsupported = []string{
	"gssencmode", "hostaddr", "oauth_client_id", "oauth_client_secret", "oauth_issuer", "oauth_scope", "replication", "requirepeer",
	"requiressl", "scram_client_key", "scram_server_key", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcrl",
	"sslcrldir", "sslkeylogfile",
}

var sqlalchemyUserinfo = regexp.MustCompile(`^([^:/]*)(?::([^@]*))?@`)

// fromSQLAlchemy rewrites the parts that SQLAlchemy reads differently from libpq: a password ends at the first @ whatever else is
// in it, a % that begins no escape stands for itself, and a + in the options is a blank.
func fromSQLAlchemy(address string) string {
	var userinfo string
	if m := sqlalchemyUserinfo.FindStringSubmatch(address); m != nil {
		address = address[len(m[0]):]
		userinfo = escapeRest(m[1]) + ":" + escapeRest(m[2]) + "@"
	}
	if i := strings.IndexByte(address, '?'); i >= 0 {
		address = address[:i] + strings.ReplaceAll(address[i:], "+", "%20")
	}
	return userinfo + address
}

// liftHosts moves hosts from the options, where SQLAlchemy has them as host=HOST:PORT, to their place in the URL.
// Directories of sockets stay.
func (u *postgresURL) liftHosts() {
	var hosts []string
	var others []option
	for _, o := range u.options {
		if o.name == "host" && !strings.HasPrefix(o.value, "/") {
			hosts = append(hosts, o.value)
		} else {
			others = append(others, o)
		}
	}
	if len(hosts) > 0 {
		u.hosts, u.options = strings.Join(hosts, ","), others
	}
}

var hostPort = regexp.MustCompile(`^(?:\[[0-9A-Za-z:.%]+\]|(?:[0-9A-Za-z._~-]|%[0-9A-Fa-f]{2})*)(?::([0-9]*))?$`)

// checkHosts checks the form of HOST[:PORT][,…]. Its error does not quote it: a password without its @ looks like a port.
func checkHosts(hosts string) error {
	for host := range strings.SplitSeq(hosts, ",") {
		m := hostPort.FindStringSubmatch(host)
		if m == nil || m[1] != "" && !isPort(m[1]) || strings.Contains(host, "%00") {
			return errors.New("a URL with HOST or HOST:PORT after the @, the port from 1 to 65535")
		}
	}
	return nil
}

// checkOptions checks the options that are most often wrong; the rest is left to pgx and the server.
func (u postgresURL) checkOptions() error {
	for _, o := range u.options {
		switch {
		case slices.Contains(unsupported, o.name):
			return errors.New("a URL without the option " + o.name + ", which is not supported")
		case o.name == "sslmode" && !slices.Contains(sslModes, o.value):
			return errors.New("a URL whose sslmode is one of " + strings.Join(sslModes, ", "))
		case o.name == "port" && !isPortList(o.value):
			return errors.New("a URL whose port is from 1 to 65535")
		case o.name == "connect_timeout" && !isSeconds(o.value):
			return errors.New("a URL whose connect_timeout is a whole number of seconds")
		}
	}
	return nil
}

// secret matches the names of options that hold secrets.
var secret = regexp.MustCompile(`(?i)password|secret|scram_`)

// redacted returns u with xxxxx for each password.
func (u postgresURL) redacted() postgresURL {
	const mask = "xxxxx"
	if u.password != "" {
		u.password = mask
	}
	options := make([]option, len(u.options))
	for i, o := range u.options {
		if secret.MatchString(o.name) {
			o.value = mask
		}
		options[i] = o
	}
	u.options = options
	return u
}

// String returns the URL in the form that pgx reads.
func (u postgresURL) String() string {
	var b strings.Builder
	b.WriteString("postgresql://" + escape(u.user))
	if u.password != "" {
		b.WriteString(":" + escape(u.password))
	}
	if u.user != "" || u.password != "" {
		b.WriteString("@")
	}
	b.WriteString(u.hosts + "/" + escape(u.database))
	separator := "?"
	for _, o := range u.options {
		b.WriteString(separator + escape(o.name) + "=" + escape(o.value))
		separator = "&"
	}
	return b.String()
}

// isPort reports whether s is a port that can be connected to.
func isPort(s string) bool {
	port, err := strconv.ParseUint(s, 10, 16)
	return err == nil && port > 0
}

// isPortList reports whether s is PORT[,…], where no PORT means the default.
func isPortList(s string) bool {
	for port := range strings.SplitSeq(s, ",") {
		if port != "" && !isPort(port) {
			return false
		}
	}
	return true
}

// isSeconds reports whether s is a number of seconds that fits a duration.
func isSeconds(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

// escape percent-encodes s for any part of a URL. To libpq a + is a plus, so a blank is %20.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// unescape undoes percent-encoding. The protocol of PostgreSQL cannot carry a zero byte.
func unescape(s string) (string, error) {
	s, err := url.PathUnescape(s)
	if err == nil && strings.ContainsRune(s, 0) {
		return "", errors.New("zero byte")
	}
	return s, err
}

var escapeOrRune = regexp.MustCompile(`(?s)%[0-9A-Fa-f]{2}|.`)

// escapeRest escapes the characters that are not percent-encoded yet. A % that begins no escape stands for itself, as in
// Python.
func escapeRest(s string) string {
	return escapeOrRune.ReplaceAllStringFunc(s, func(m string) string {
		if len(m) == 3 && m[0] == '%' {
			return m
		}
		return escape(m)
	})
}
