package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sellio/sellio-cart/internal/config"
)

// canary is a password, or the part of one that must not be seen.
const canary = "S3cr3tC4n4ry"

// FuzzLoad gives one variable any value and .env any content, after a database URL with a password.
func FuzzLoad(f *testing.F) {
	for i, s := range (config.Config{}).Settings() {
		f.Add(uint8(i), s.Default, s.Name+"="+s.Default)
	}
	f.Add(uint8(0), "postgresql+asyncpg://u:p/w@h/d?ssl=require", "A='\"")
	f.Add(uint8(1), "9999999999999999999", "export A: ${B}\\n#")
	f.Add(uint8(2), "0", "HTTP_PORT=x$DATABASE_URL")
	f.Fuzz(func(t *testing.T, index uint8, value, file string) {
		settings := (config.Config{}).Settings()
		name := settings[int(index)%len(settings)].Name
		dir := dirWith(t, "DATABASE_URL=postgres://u:"+canary+"@h/d\n"+file)
		c, err := config.Load([]string{name + "=" + value}, dir)
		if err != nil {
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the error shows the password: %v", err)
			}
			for line := range strings.Lines(err.Error()) {
				if !strings.Contains(line, ": must be ") && !strings.Contains(line, ".env: must hold ") {
					t.Errorf("a line that does not say what is wrong: %q", line)
				}
			}
			return
		}
		if printed := forms(t, c); strings.Contains(printed, canary) {
			t.Errorf("printing shows the password: %s", printed)
		}
		// What is in force may be set again, to the same effect.
		var again []string
		for _, s := range c.Settings() {
			again = append(again, s.Name+"="+s.Value)
		}
		c2, err := config.Load(again, t.TempDir())
		if err != nil {
			t.Fatalf("settings in force are refused: %v", err)
		}
		for i, s := range c.Settings() {
			if got := c2.Settings()[i]; got != s {
				t.Errorf("%s was %q, is %q", s.Name, s.Value, got.Value)
			}
		}
	})
}

// FuzzDatabaseURL puts a password between any two texts, in each place where a URL may have one.
func FuzzDatabaseURL(f *testing.F) {
	for _, affix := range []string{"", "p@ss", "a/b", "1/", ":", "?x=", "#", "%", "%41", "%00", "[", " ", "\n", "é", "\xff", "+", ",", "//"} {
		f.Add(affix, "")
		f.Add("", affix)
		f.Add(affix, affix)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		password := before + canary + after
		// In the options, an & ends the password. Nothing can tell what follows from another option.
		option := strings.ReplaceAll(password, "&", "%26")
		for _, raw := range []string{
			password,
			"postgresql://u:" + password + "@h:5432/d?sslmode=disable",
			"postgres://u:" + password + "@/",
			"postgresql+asyncpg://u:" + password + "@h/d",
			"postgresql+asyncpg://:" + password + "@h/d",
			"postgresql://u@h/d?password=" + option + "&application_name=x",
			"postgresql://u@h/d?PassWord=" + option,
			"postgresql+asyncpg://u@h/d?sslpassword=" + option,
			"user=u password=" + password + " host=h",
			"mysql://u:" + password + "@h/d",
		} {
			u, err := config.ParseDatabaseURL(raw)
			if err != nil {
				if _, ok := errors.AsType[*config.InvalidError](err); !ok || strings.ContainsAny(err.Error(), "\r\n") {
					t.Errorf("not one line of an InvalidError: %v", err)
				}
				if strings.Contains(err.Error(), canary) {
					t.Errorf("%q: the error shows the password: %v", raw, err)
				}
				continue
			}
			if u.Kind() == config.SQLite || strings.Contains(before, "://") && raw == password {
				continue // a path, or a URL of the fuzzer's own making
			}
			if printed := forms(t, u); strings.Contains(printed, canary) {
				t.Errorf("%q: printing shows the password: %s", raw, printed)
			}
			if !strings.Contains(u.DSN(), canary) {
				t.Errorf("%q: the password is lost: %s", raw, u.DSN())
			}
			if _, err := pgxpool.ParseConfig(u.DSN()); err != nil {
				t.Errorf("%q: pgx refuses %s: %v", raw, u.DSN(), err)
			}
		}
	})
}

// FuzzAnyDatabaseURL gives the parser any text. What it takes it also takes in the forms that it makes of it, to the same
// effect.
func FuzzAnyDatabaseURL(f *testing.F) {
	for _, raw := range []string{
		"", "sqlite:cart.db", "sqlite:50%.db", "sqlite::memory:", "postgres://", "postgresql://u:p@h1:1,[::1]:,h3/d?sslmode=require",
		"postgresql+asyncpg://u:a/b?c#d:e%zz@h/d?ssl=verify_full&timeout=7", "postgresql+asyncpg://u:p@/d?host=h1:1&host=/run&port=1,",
		"postgresql+asyncpg://h/d?statement_cache_size=0&command_timeout=60", "mysql://h", "postgres://h/d?=x", "postgres://h/d?a",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := config.ParseDatabaseURL(raw)
		if err != nil {
			if _, ok := errors.AsType[*config.InvalidError](err); !ok || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("not one line of an InvalidError: %v", err)
			}
			return
		}
		dsn := u.DSN()
		if u.Kind() == config.SQLite {
			dsn = "sqlite:" + dsn
		}
		for form, text := range map[string]string{"as drivers get it": dsn, "as it is printed": u.String()} {
			again, err := config.ParseDatabaseURL(text)
			if err != nil {
				t.Fatalf("%q %s, %q, is refused: %v", raw, form, text, err)
			}
			if again.Kind() != u.Kind() || again.String() != u.String() {
				t.Errorf("%q %s is %v %q, and was %v %q", raw, form, again.Kind(), again, u.Kind(), u)
			}
		}
	})
}
