package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/config"
)

// TestReadme keeps the table of the README true.
func TestReadme(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- config -->", "<!-- /config -->"
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begun := strings.Cut(string(readme), begin)
	got, _, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("README.md has no table between %s and %s", begin, end)
	}
	want := config.MarkdownTable()
	if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); diff != "" {
		t.Errorf("README.md differs (-want +got):\n%s\nThe table should be:\n\n%s", diff, want)
	}
}
