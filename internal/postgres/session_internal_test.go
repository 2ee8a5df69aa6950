package postgres

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPgBouncerIsToldOfEverySetting compares the list for PgBouncer in the documentation with the settings.
func TestPgBouncerIsToldOfEverySetting(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.name
	}
	found := regexp.MustCompile(`(?m)^ignore_startup_parameters = (.*)$`).FindSubmatch(doc)
	if want := strings.Join(names, ", "); found == nil || string(found[1]) != want {
		t.Errorf("docs/operations.md has %q, want %s", found, want)
	}
}
