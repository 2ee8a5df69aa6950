package delivery

import (
	"debug/buildinfo"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// TestBuildInContext runs the Dockerfile's own build command on the files that .dockerignore lets through.
func TestBuildInContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	copyContext(t, dir)
	for _, path := range []string{".git", ".env", "tools", "checks", "helm", "README.md"} {
		if _, err := os.Lstat(filepath.Join(dir, path)); err == nil {
			t.Errorf("%s is part of the build context", path)
		}
	}

	build := exec.CommandContext(t.Context(), "sh", "-c", buildCommand(t))
	build.Dir = dir
	build.Env = append(os.Environ(), "TARGETOS="+runtime.GOOS, "TARGETARCH="+runtime.GOARCH, "VERSION=1.2.3-test")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	binary := filepath.Join(dir, "bin", "sellio-cart")
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" {
		t.Errorf("built with %v, want CGO_ENABLED=0 and -trimpath", settings)
	}
	out, err := exec.CommandContext(t.Context(), binary, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "1.2.3-test") {
		t.Errorf("sellio-cart version says %q, %v", out, err)
	}
}

// buildCommand returns the RUN of the Dockerfile that calls go build.
func buildCommand(t *testing.T) string {
	t.Helper()
	for _, command := range stages(t)[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok && strings.Contains(run.String(), "go build") {
			return strings.Join(run.CmdLine, " ")
		}
	}
	t.Fatal("the Dockerfile's first stage does not run go build")
	return ""
}

// copyContext copies the context of an image build to dir.
func copyContext(t *testing.T, dir string) {
	t.Helper()
	file, err := os.Open(root + "/.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	patterns, err := ignorefile.ReadAll(file)
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	repository := os.DirFS(root)
	err = fs.WalkDir(repository, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		ignored, err := ignore.MatchesOrParentMatches(path)
		if err != nil || ignored || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(repository, path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
