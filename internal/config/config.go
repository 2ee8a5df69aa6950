// Package config reads the settings of the service from its environment.
package config

import (
	"errors"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config holds all settings. The tags of a field are its variable (env), its default (envDefault), its valid values (min
// and max; or match, a pattern, with holds, the same in words) and its meaning (doc). Error messages, the config subcommand
// and the README's table are generated from them.
type Config struct {
	// DatabaseURL is where the carts are stored. It must be set in production.
	DatabaseURL DatabaseURL `env:"DATABASE_URL" envDefault:"sqlite:sellio-cart.db" holds:"postgresql://…, postgres://…, postgresql+asyncpg://… or sqlite:PATH" doc:"database of the carts; must be set when APP_ENV is prod or production"`

	// HTTPPort is the port of REST; 0 is any free port. It differs from GRPCPort unless both are 0.
	HTTPPort int `env:"HTTP_PORT" envDefault:"8080" min:"0" max:"65535" doc:"port of the REST API; 0 takes any free one"`

	// GRPCPort is the port of gRPC; 0 is any free port.
	GRPCPort int `env:"GRPC_PORT" envDefault:"50051" min:"0" max:"65535" doc:"port of the gRPC API; 0 takes any free one"`

	// AppEnv names the environment; see Local and Prod for those that are more than names, in letters of any case.
	AppEnv string `env:"APP_ENV" envDefault:"local" match:"^[A-Za-z0-9_-]+$" holds:"local, dev, prod or any other name of letters, digits, - and _" doc:"environment of the service; local omits Secure from the guest cookie, prod and production require DATABASE_URL"`

	// LogLevel is the least severe level that is logged.
	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info" match:"^(?i:debug|info|warn|error)$" holds:"debug, info, warn or error" doc:"lowest level that is logged"`

	// AutoMigrate applies pending migrations before the service listens.
	AutoMigrate bool `env:"AUTO_MIGRATE" envDefault:"false" match:"^(?i:true|false|1|0)$" holds:"true or false" doc:"whether pending migrations are applied at startup"`

	// RequestTimeout bounds one request from its arrival to its answer.
	RequestTimeout time.Duration `env:"REQUEST_TIMEOUT" envDefault:"5s" min:"100ms" max:"5m" doc:"how long one request may take, the database included"`

	// ShutdownTimeout bounds the whole of a graceful stop.
	ShutdownTimeout time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"15s" min:"1s" max:"10m" doc:"how long requests under way may take to finish when the service stops"`

	// WriteLanes is the number of batches of commands that may be under way at once.
	WriteLanes int `env:"WRITE_LANES" envDefault:"2" min:"1" max:"64" doc:"batches of writes that may be under way at once"`

	// ReadLanes is the number of batches of reads that may be under way at once.
	ReadLanes int `env:"READ_LANES" envDefault:"2" min:"1" max:"64" doc:"batches of reads that may be under way at once"`

	// BatchSize bounds one batch, of commands or of reads.
	BatchSize int `env:"BATCH_SIZE" envDefault:"256" min:"1" max:"1000" doc:"most commands or reads in a batch"`

	// QueueSize bounds the requests that wait in all write lanes together, and likewise in all read lanes.
	QueueSize int `env:"QUEUE_SIZE" envDefault:"1024" min:"1" max:"1000000" doc:"most requests waiting in all write lanes, and again in all read lanes; further ones are refused at once with 503 / RESOURCE_EXHAUSTED"`

	// AuthMode selects the accepted credentials, see docs/security.md.
	AuthMode string `env:"AUTH_MODE" envDefault:"none" match:"^(none|token|jwt)$" holds:"none, token or jwt" doc:"accepted callers: any; services with a token; or services with a token, users with a JWT, and guests"`

	// AuthTokens are the tokens of services; see ServiceTokens.
	AuthTokens Tokens `env:"AUTH_TOKENS" holds:"tokens of at least 32 letters, digits and -._~+/= each, separated by commas" doc:"tokens of services, several for rotation; a secret"`

	// AuthTokensFile is a file with more of them.
	AuthTokensFile string `env:"AUTH_TOKENS_FILE" holds:"the path of a file with such tokens, one a line" doc:"more tokens of services; read at startup"`

	// AuthJWTIssuer is what the claim iss of a user's JWT must be.
	AuthJWTIssuer string `env:"AUTH_JWT_ISSUER" holds:"any text" doc:"claim iss of the JWTs of users; must be set when AUTH_MODE is jwt"`

	// AuthJWTAudience is what the claim aud of a user's JWT must hold.
	AuthJWTAudience string `env:"AUTH_JWT_AUDIENCE" holds:"any text" doc:"value that the claim aud of these JWTs holds; must be set when AUTH_MODE is jwt"`

	// AuthJWKS is the URL or path of the issuer's public keys.
	AuthJWKS string `env:"AUTH_JWKS" match:"^(https?://[^@\\s]+|/.*|[^:]+)$" holds:"an https:// or http:// URL without a user, or the path of a file" doc:"JWKS with the public keys for these JWTs; must be set when AUTH_MODE is jwt"`

	// AdminPort is the port of metrics, probes and profiles; 0 is any free port. It is no other's port.
	AdminPort int `env:"ADMIN_PORT" envDefault:"9090" min:"0" max:"65535" doc:"port of /metrics, /healthz, /readyz and /debug/pprof, which must not be reachable from outside; 0 takes any free one"`

	// AdminAddress is the address that AdminPort is opened on, "" for all addresses.
	AdminAddress Host `env:"ADMIN_ADDRESS" holds:"an IP address or a host name" doc:"address that ADMIN_PORT is opened on; all addresses if not set"`

	// ClientTimeout bounds how long a client takes to send a request, and again to read the answer.
	ClientTimeout time.Duration `env:"CLIENT_TIMEOUT" envDefault:"5s" min:"100ms" max:"5m" doc:"how long a client may take to send a request, and again to read the answer"`

	// IdleTimeout bounds how long an unused connection is kept.
	IdleTimeout time.Duration `env:"IDLE_TIMEOUT" envDefault:"2m0s" min:"100ms" max:"1h" doc:"how long a connection without a request is kept open"`

	// MaxConnections bounds the connections of each port, and also the requests under way there, of which HTTP/2
	// allows many on one connection.
	MaxConnections int `env:"MAX_CONNECTIONS" envDefault:"4096" min:"1" max:"1000000" doc:"most connections, and most requests under way, on each port; a further connection takes the place of an idle one or is closed, a further request is refused with 503 / RESOURCE_EXHAUSTED"`

	// CreateRate bounds how many carts a caller may create a minute; 0 bounds nothing.
	CreateRate int `env:"CREATE_RATE" envDefault:"0" min:"0" max:"1000000" doc:"most carts that a caller may create a minute, further ones are refused with 429 / RESOURCE_EXHAUSTED; 0 is no limit"`

	// CreateBurst is how many carts a caller may create at once, after some time without any.
	CreateBurst int `env:"CREATE_BURST" envDefault:"10" min:"1" max:"1000000" doc:"carts that a caller may create at once where CREATE_RATE is set"`

	// IdempotencyTTL is how long the receipt of an idempotency key is kept, at least.
	IdempotencyTTL time.Duration `env:"IDEMPOTENCY_TTL" envDefault:"24h0m0s" min:"1h" max:"720h" doc:"how long a write with an idempotency key may be repeated and is done once"`

	// MergePolicy is that of merges that name none.
	MergePolicy string `env:"MERGE_POLICY" envDefault:"max" match:"^(max|sum|guest|user|replace|keep)$" holds:"max, sum, guest, user, replace or keep" doc:"what becomes of the lines when a guest's cart is merged into a user's and the request does not say"`

	// TrustedProxies are the proxies whose X-Forwarded-For is trusted.
	TrustedProxies Networks `env:"TRUSTED_PROXIES" holds:"networks such as 10.0.0.0/8, separated by commas" doc:"proxies whose X-Forwarded-For is trusted to name the client"`

	// CORSOrigins are the origins of other sites whose pages may call the REST API.
	CORSOrigins Origins `env:"CORS_ORIGINS" holds:"origins such as https://shop.example.com, separated by commas" doc:"other sites whose pages may call the REST API in a browser"`

	// DocsEnabled serves the documentation of the REST API.
	DocsEnabled bool `env:"DOCS_ENABLED" envDefault:"true" match:"^(?i:true|false|1|0)$" holds:"true or false" doc:"whether /docs, /redoc and /openapi.json are served"`

	// TLSCertFile and TLSKeyFile turn TLS on, on both ports. Both are set or neither is.
	TLSCertFile string `env:"TLS_CERT_FILE" holds:"the path of a PEM file" doc:"certificate of the service, with its intermediate certificates; with TLS_KEY_FILE it turns TLS on, on both ports"`
	TLSKeyFile  string `env:"TLS_KEY_FILE" holds:"the path of a PEM file" doc:"private key of the certificate"`

	// GRPCClientCAFile makes clients over gRPC show a certificate.
	GRPCClientCAFile string `env:"GRPC_CLIENT_CA_FILE" holds:"the path of a PEM file" doc:"authorities; if set, a gRPC client must present a certificate signed by one of them"`
}

// Load reads the settings from environ, which has the form of os.Environ, and from the file .env in dir where there is
// one. The environment wins; an empty value counts as unset and unknown variables are ignored. In the file, $NAME stands
// for another of its variables, set above it, except between single quotes.
//
// Each invalid value is an *InvalidError, which is one line; several are joined. A missing DATABASE_URL in production is one
// of them: the service must not start on an empty database of its own.
func Load(environ []string, dir string) (Config, error) {
	vars, err := variables(environ, filepath.Join(dir, ".env"))
	if err != nil {
		return Config{}, err
	}
	c, err := parse(vars, "envDefault")
	if err := errors.Join(invalidFields(c, vars, err), invalidTogether(c, vars)); err != nil {
		return Config{}, err
	}
	return c, nil
}

// Local reports whether the service runs on a developer's machine, where it is reached without TLS.
func (c Config) Local() bool { return strings.EqualFold(c.AppEnv, "local") }

// Prod reports whether the service runs in production.
func (c Config) Prod() bool {
	return strings.EqualFold(c.AppEnv, "prod") || strings.EqualFold(c.AppEnv, "production")
}

// variables merges environ over the variables of file. Blanks around a value are dropped: secrets often end in a newline.
func variables(environ []string, file string) (map[string]string, error) {
	vars, lossy, err := readDotenv(file)
	if err != nil {
		return nil, err
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value = strings.TrimSpace(value); value != "" {
			vars[name] = value
			delete(lossy, name)
		}
	}
	var problems []error
	for _, s := range (Config{}).Settings() {
		if lossy[s.Name] {
			problems = append(problems, &InvalidError{Name: s.Name, Held: "…", Want: "between single quotes in .env, or without a $ " +
				"before a capital letter, a digit or _: that stands for a variable, and no line above sets it"})
		}
	}
	return vars, errors.Join(problems...)
}

// parse fills a Config from vars and, for variables that are not set, from the tag named fallback.
func parse(vars map[string]string, fallback string) (Config, error) {
	var c Config
	err := env.ParseWithOptions(&c, env.Options{
		Environment:         vars,
		DefaultValueTagName: fallback,
		FuncMap: map[reflect.Type]env.ParserFunc{
			reflect.TypeFor[DatabaseURL](): func(raw string) (any, error) { return ParseDatabaseURL(raw) },
			reflect.TypeFor[Tokens]():      func(raw string) (any, error) { return parseTokens(raw) },
			reflect.TypeFor[Host]():        func(raw string) (any, error) { return parseHost(raw) },
			reflect.TypeFor[Networks]():    func(raw string) (any, error) { return parseNetworks(raw) },
			reflect.TypeFor[Origins]():     func(raw string) (any, error) { return parseOrigins(raw) },
		},
	})
	return c, err
}
