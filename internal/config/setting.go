package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"
)

// Setting describes one variable.
type Setting struct {
	Name    string // the variable
	Value   string // the value in force; a password is replaced
	Default string // the value of a variable that is not set, "" for none
	Holds   string // its valid values, in words
	Doc     string // its meaning, in words
}

// Settings returns all settings in the order of Config's fields.
func (c Config) Settings() []Setting {
	v := reflect.ValueOf(c)
	settings := make([]Setting, v.NumField())
	for i := range settings {
		f := v.Type().Field(i)
		settings[i] = Setting{
			Name:    f.Tag.Get("env"),
			Value:   text(v.Field(i).Interface()),
			Default: f.Tag.Get("envDefault"),
			Holds:   holds(f),
			Doc:     f.Tag.Get("doc"),
		}
	}
	return settings
}

// MarkdownTable returns the settings as the table of the README, ending in a newline.
func MarkdownTable() string {
	var b strings.Builder
	b.WriteString("| variable | meaning | may hold | default |\n|---|---|---|---|\n")
	for _, s := range (Config{}).Settings() {
		byDefault := "not set"
		if s.Default != "" {
			byDefault = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.Name, s.Doc, s.Holds, byDefault)
	}
	return b.String()
}

// holds returns the valid values of f, in words.
func holds(f reflect.StructField) string {
	low, high := f.Tag.Get("min"), f.Tag.Get("max")
	switch f.Type {
	case reflect.TypeFor[int]():
		return fmt.Sprintf("a whole number from %s to %s", low, high)
	case reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("a duration from %s to %s, such as %s", low, high, f.Tag.Get("envDefault"))
	default:
		return f.Tag.Get("holds")
	}
}

// holdsOf returns the valid values of the field of Config with that name, in words.
func holdsOf(name string) string {
	f, _ := reflect.TypeFor[Config]().FieldByName(name)
	return holds(f)
}

// text formats a value as its variable would hold it.
func text(value any) string {
	if level, ok := value.(slog.Level); ok {
		return strings.ToLower(level.String())
	}
	return fmt.Sprint(value)
}
