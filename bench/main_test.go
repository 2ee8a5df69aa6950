//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]Plan{
		"full":                            {Command: "full", Rounds: 3, Seconds: 3, SecondsAlone: 3},
		"quick":                           {Command: "quick", Rounds: 3, Seconds: 2, SecondsAlone: 1},
		"quick -rounds 1 -seconds 5":      {Command: "quick", Rounds: 1, Seconds: 5, SecondsAlone: 5},
		"overload":                        {Command: "overload", Rounds: 3, Seconds: 5, SecondsAlone: 3},
		"against v1.0.0":                  {Command: "against", Against: "v1.0.0", Rounds: 24, Seconds: 1, SecondsAlone: 3},
		"against -rounds 60 HEAD~1":       {Command: "against", Against: "HEAD~1", Rounds: 60, Seconds: 1, SecondsAlone: 3},
		"against -seconds=2 -rounds=8 v1": {Command: "against", Against: "v1", Rounds: 8, Seconds: 2, SecondsAlone: 2},
	} {
		want.Carts, want.Lines = 100_000, 5
		fields := strings.Fields(args)
		if got, err := parsePlan(fields[0], fields[1:]); err != nil || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", args, got, err, want)
		}
	}
}

// Bad arguments are refused before anything is started.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil, {"fast"}, {"-quick"}, {"against"}, {"against", ""}, {"against", "a", "b"}, {"against", "a", "-rounds", "2"},
		{"quick", "-rounds", "0"}, {"quick", "-rounds", "x"}, {"quick", "-seconds", "-1"}, {"full", "now"}, {"static"}, {"static", "x"},
		{"report", "now"},
	} {
		err := run(t.Context(), t.TempDir(), args, strings.NewReader(""), io.Discard, io.Discard)
		if err == nil || strings.Contains(err.Error(), "missing") {
			t.Errorf("%q: got %v, want what is wrong with the arguments", args, err)
		}
	}
}

func TestStatic(t *testing.T) {
	t.Parallel()
	leash, hold := io.Pipe()
	said, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(t.Context(), t.TempDir(), []string{"static", "7"}, leash, stdout, io.Discard) }()
	url, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	s := &service{rest: strings.TrimSpace(url)}
	if err := s.check(t.Context(), 7); err != nil {
		t.Error(err)
	}
	if err := errors.Join(hold.Close(), <-ended); err != nil {
		t.Error(err)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(path string, write func(string) error) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := write(path); err != nil {
			t.Fatal(err)
		}
	}
	published := func() string {
		t.Helper()
		if err := run(t.Context(), root, []string{"report"}, nil, io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(root, "BENCHMARKS.md"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write("bench/NOTES.md", func(path string) error { return os.WriteFile(path, []byte("## Notes\n"), 0o600) })
	write("bench/results/full.json", results().write)
	if text := published(); !strings.Contains(text, "## Notes") || strings.Contains(text, "## Against") {
		t.Errorf("no notes, or a comparison that was not made:\n%s", text)
	}
	write("bench/results/against.json", compared().write)
	text := published()
	for _, want := range []string{
		"## Against old\n", "`make bench-against REVISION=old ROUNDS=2`",
		"| new / old | rate |", "| " + restCheckout + " | 1.50 (1.00–2.00) | 1.25 (0.50–2.00) |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// repository makes a Git repository with a commit on a branch that is not checked out.
func repository(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		args = append([]string{"-C", root, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	git("init", "--quiet", "--initial-branch=main")
	change(t, root, "main.go")
	change(t, root, "bench/results/full.json")
	git("add", ".")
	git("commit", "--quiet", "-m", "first")
	git("checkout", "--quiet", "-b", "other")
	change(t, root, "other.go")
	git("add", ".")
	git("commit", "--quiet", "-m", "second")
	git("checkout", "--quiet", "main")
	return root
}

func change(t *testing.T, root, path string) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("x\n"); err != nil {
		t.Fatal(err)
	}
}

func TestCheckOutKnowsBranches(t *testing.T) {
	t.Parallel()
	root := repository(t)
	dir := filepath.Join(t.TempDir(), "against")
	b := &bench{root: root}
	if err := b.checkOut(t.Context(), "other", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other.go")); err != nil {
		t.Error(err)
	}
	if err := b.checkOut(t.Context(), "nowhere", dir+"2"); err == nil {
		t.Error("a revision that is not there was checked out")
	}
}

func TestRevisionDoesNotDependOnResults(t *testing.T) {
	t.Parallel()
	root := repository(t)
	clean := describe(t.Context(), root)
	if clean == "" || strings.Contains(clean, "dirty") {
		t.Errorf("got %q of what was just committed", clean)
	}
	change(t, root, "bench/results/full.json")
	if got := describe(t.Context(), root); got != clean {
		t.Errorf("with other results: got %q, want %q", got, clean)
	}
	change(t, root, "main.go")
	if got := describe(t.Context(), root); got != clean+"-dirty" {
		t.Errorf("with other code: got %q, want %q", got, clean+"-dirty")
	}
}
