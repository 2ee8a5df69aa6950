package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// InvalidError says that the value of a variable is not valid. It never contains a password.
type InvalidError struct {
	Name string // the variable
	Held string // its value, without parts that may be a password
	Want string // the valid values, to follow the words "must be"
}

// Error returns the message, which is one line.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("%s=%q: must be %s", e.Name, e.Held, e.Want)
}

// invalidFields checks each field of c by itself; parsed is what parsing c from vars returned.
func invalidFields(c Config, vars map[string]string, parsed error) error {
	low, errLow := parse(map[string]string{}, "min")
	high, errHigh := parse(map[string]string{}, "max")
	if err := errors.Join(errLow, errHigh); err != nil {
		return err
	}
	failed := map[string]error{}
	if all, ok := errors.AsType[env.AggregateError](parsed); ok {
		for _, err := range all.Errors {
			one, ok := errors.AsType[env.ParseError](err)
			if !ok {
				return err
			}
			failed[one.Name] = one.Err
		}
	}

	var problems []error
	value, least, most := reflect.ValueOf(c), reflect.ValueOf(low), reflect.ValueOf(high)
	for i := range value.NumField() {
		f := value.Type().Field(i)
		name := f.Tag.Get("env")
		invalid, explained := errors.AsType[*InvalidError](failed[f.Name])
		switch {
		case explained:
			problems = append(problems, invalid)
		case failed[f.Name] != nil,
			!matches(f, vars[name]),
			limited(f) && (value.Field(i).Int() < least.Field(i).Int() || value.Field(i).Int() > most.Field(i).Int()):
			problems = append(problems, &InvalidError{Name: name, Held: shown(vars[name]), Want: holds(f)})
		}
	}
	return errors.Join(problems...)
}

// invalidTogether checks the fields of c that depend on each other.
func invalidTogether(c Config, vars map[string]string) error {
	var problems []error
	if c.HTTPPort == c.GRPCPort && c.HTTPPort != 0 {
		problems = append(problems, &InvalidError{
			Name: "GRPC_PORT",
			Held: strconv.Itoa(c.GRPCPort),
			Want: "another port than HTTP_PORT, which holds the same",
		})
	}
	if c.AdminPort != 0 && (c.AdminPort == c.HTTPPort || c.AdminPort == c.GRPCPort) {
		problems = append(problems, &InvalidError{
			Name: "ADMIN_PORT",
			Held: strconv.Itoa(c.AdminPort),
			Want: "another port than HTTP_PORT and GRPC_PORT, one of which holds the same",
		})
	}
	if c.Prod() && vars["DATABASE_URL"] == "" {
		problems = append(problems, &InvalidError{
			Name: "DATABASE_URL",
			Want: "set when APP_ENV is " + c.AppEnv + ", to " + databaseURLForms(),
		})
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		missing := &InvalidError{Name: "TLS_KEY_FILE", Want: "set where TLS_CERT_FILE is"}
		if c.TLSCertFile == "" {
			missing = &InvalidError{Name: "TLS_CERT_FILE", Want: "set where TLS_KEY_FILE is"}
		}
		problems = append(problems, missing)
	}
	if c.GRPCClientCAFile != "" && c.TLSCertFile == "" {
		problems = append(problems, &InvalidError{
			Name: "GRPC_CLIENT_CA_FILE", Held: c.GRPCClientCAFile, Want: "left out where TLS_CERT_FILE is not set",
		})
	}
	return errors.Join(append(problems, invalidAuth(c, vars)...)...)
}

// limited reports whether f has a least and a greatest value.
func limited(f reflect.StructField) bool {
	_, ok := f.Tag.Lookup("min")
	return ok
}

// matches reports whether raw matches the pattern of f, if it has one. An unset variable always does.
func matches(f reflect.StructField, raw string) bool {
	pattern, ok := f.Tag.Lookup("match")
	return !ok || raw == "" || regexp.MustCompile(pattern).MatchString(raw)
}

// shown is raw in a form that an error may show. A URL may contain a password even where none is expected.
func shown(raw string) string {
	if strings.Contains(raw, "://") {
		return schemeOnly(raw)
	}
	return raw
}
