package delivery

import (
	"bytes"
	"go/version"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
)

const workflows = ".github/workflows/"

// workflow has the only fields that a workflow may use.
type workflow struct {
	Name        string
	On          map[string]any
	Permissions map[string]string
	Concurrency map[string]string
	Jobs        map[string]job
}

type job struct {
	Uses           string // another workflow, in place of the fields below
	Needs          string
	RunsOn         string `yaml:"runs-on"`
	TimeoutMinutes int    `yaml:"timeout-minutes"`
	Permissions    map[string]string
	Strategy       strategy
	Steps          []step
}

type strategy struct {
	FailFast bool `yaml:"fail-fast"`
	Matrix   map[string][]string
}

type step struct {
	ID   string
	Name string
	If   string
	Uses string
	With map[string]any
	Run  string
	Env  map[string]string
}

func readWorkflow(t *testing.T, name string) workflow {
	t.Helper()
	var w workflow
	unmarshalStrict(t, workflows+name, &w)
	return w
}

// eachWorkflow runs check on every workflow of the repository.
func eachWorkflow(t *testing.T, check func(t *testing.T, w workflow)) {
	t.Helper()
	entries, err := os.ReadDir(root + "/" + workflows)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			check(t, readWorkflow(t, entry.Name()))
		})
	}
}

// unmarshalStrict reads a YAML file of the repository; a field that into lacks is an error.
func unmarshalStrict(t *testing.T, path string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(bytes.NewReader(readFile(t, path)))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestWorkflowSteps(t *testing.T) {
	t.Parallel()
	eachWorkflow(t, func(t *testing.T, w workflow) {
		for name, job := range w.Jobs {
			if job.Uses != "" {
				continue
			}
			if job.RunsOn == "" || job.TimeoutMinutes == 0 || len(job.Steps) == 0 {
				t.Errorf("job %s needs runs-on, timeout-minutes and steps", name)
			}
			for i, step := range job.Steps {
				if (step.Run == "") == (step.Uses == "") {
					t.Errorf("job %s, step %d: want either run or uses", name, i)
				}
				// The value of ${{ }} is pasted into the script as it is, so it could run as part of it.
				if strings.Contains(step.Run, "${{") {
					t.Errorf("job %s, step %d: an expression in a script; give it to env", name, i)
				}
			}
		}
	})
}

// The workflow runs all of make check. Lint has a job of its own, so that it fails first.
func TestWorkflowRunsMakeCheck(t *testing.T) {
	t.Parallel()
	w := readWorkflow(t, "ci.yml")
	for _, event := range []string{"push", "pull_request", "workflow_call", "schedule"} {
		if _, ok := w.On[event]; !ok {
			t.Errorf("does not run on %s", event)
		}
	}
	commands := map[string]string{
		"lint": "make lint", "check": "make verify test", "postgres": `make test-postgres VERSIONS="$VERSION"`, "vulnerabilities": "make vulncheck",
	}
	for name, command := range commands {
		if !slices.ContainsFunc(w.Jobs[name].Steps, func(s step) bool { return s.Run == command }) {
			t.Errorf("job %s does not run %s", name, command)
		}
		if w.Jobs[name].Needs != "" {
			t.Errorf("job %s waits for %s", name, w.Jobs[name].Needs)
		}
	}
	if !slices.Equal(makeLine(t, "check: "), []string{"lint", "verify", "test"}) {
		t.Error("make check is not lint, verify and test, as the workflow and .ci/run have it")
	}
	if script := string(readFile(t, ".ci/run")); !strings.HasSuffix(script, "\nmake lint\nmake verify\nmake test\n") {
		t.Errorf(".ci/run is not make lint, make verify and make test:\n%s", script)
	}
}

// The workflow tests on the versions of make test-postgres, and on all of them even if one fails.
func TestWorkflowRunsOnEachPostgreSQL(t *testing.T) {
	t.Parallel()
	job := readWorkflow(t, "ci.yml").Jobs["postgres"]
	if diff := cmp.Diff(makeLine(t, "test-postgres: VERSIONS = "), job.Strategy.Matrix["version"]); diff != "" || job.Strategy.FailFast {
		t.Errorf("fail-fast %v, versions (-make +workflow):\n%s", job.Strategy.FailFast, diff)
	}
	if !slices.ContainsFunc(job.Steps, func(s step) bool { return s.Env["VERSION"] == "${{ matrix.version }}" }) {
		t.Error("no step gets the version of the matrix")
	}
}

// makeLine returns the words that follow the given beginning of a line of the Makefile, up to a comment.
func makeLine(t *testing.T, prefix string) []string {
	t.Helper()
	for line := range strings.Lines(string(readFile(t, "Makefile"))) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			words, _, _ := strings.Cut(rest, "#")
			return strings.Fields(words)
		}
	}
	t.Fatalf("the Makefile has no line %q", prefix)
	return nil
}

// Only the job that publishes may write, and only what it publishes.
func TestWorkflowPermissions(t *testing.T) {
	t.Parallel()
	eachWorkflow(t, func(t *testing.T, w workflow) {
		if diff := cmp.Diff(map[string]string{"contents": "read"}, w.Permissions); diff != "" {
			t.Errorf("permissions (-want +got):\n%s", diff)
		}
		for name, job := range w.Jobs {
			if len(job.Permissions) > 0 && (w.Name != "Release" || name != "publish") {
				t.Errorf("job %s has permissions of its own", name)
			}
		}
	})
	want := map[string]string{"contents": "read", "packages": "write", "id-token": "write"}
	if diff := cmp.Diff(want, readWorkflow(t, "release.yml").Jobs["publish"].Permissions); diff != "" {
		t.Errorf("permissions of the release (-want +got):\n%s", diff)
	}
}

// A tag of an action can be moved to other code, a commit cannot.
func TestWorkflowPinsActions(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	eachWorkflow(t, func(t *testing.T, w workflow) {
		for name, job := range w.Jobs {
			if job.Uses != "" && !strings.HasPrefix(job.Uses, "./") {
				t.Errorf("job %s uses %s of another repository", name, job.Uses)
			}
			for _, step := range job.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("job %s uses %s, which names no commit", name, step.Uses)
				}
				if keep, said := step.With["persist-credentials"].(bool); strings.HasPrefix(step.Uses, "actions/checkout@") && (keep || !said) {
					t.Errorf("job %s leaves its token in the checkout", name)
				}
			}
		}
	})
}

// A release is checked first, built for both platforms with SBOM and provenance, and signed by its digest.
func TestRelease(t *testing.T) {
	t.Parallel()
	w := readWorkflow(t, "release.yml")
	publish := w.Jobs["publish"]
	if w.Jobs[publish.Needs].Uses != "./"+workflows+"ci.yml" {
		t.Errorf("publishes after %q, want the checks of CI first", publish.Needs)
	}
	build := slices.IndexFunc(publish.Steps, func(s step) bool { return strings.HasPrefix(s.Uses, "docker/build-push-action@") })
	sign := slices.IndexFunc(publish.Steps, func(s step) bool { return strings.HasPrefix(s.Run, "cosign sign ") })
	if build < 0 || sign < build {
		t.Fatalf("step %d builds and step %d signs", build, sign)
	}
	const version = "${{ steps.version.outputs.number }}"
	want := map[string]any{
		"context": ".", "platforms": "linux/amd64,linux/arm64", "push": true, "sbom": true, "provenance": "mode=max",
		"build-args": "VERSION=" + version, "tags": "ghcr.io/sellio/sellio-cart:" + version,
	}
	if diff := cmp.Diff(want, publish.Steps[build].With); diff != "" {
		t.Errorf("the build (-want +got):\n%s", diff)
	}
	digest := map[string]string{"DIGEST": "${{ steps." + publish.Steps[build].ID + ".outputs.digest }}"}
	if diff := cmp.Diff(digest, publish.Steps[sign].Env); diff != "" {
		t.Errorf("the signature (-want +got):\n%s", diff)
	}
}

// With setup-go, a module cannot download a newer Go than the installed one, so the installed one must do for all modules.
func TestWorkflowHasTheNewestGo(t *testing.T) {
	t.Parallel()
	for name, job := range readWorkflow(t, "ci.yml").Jobs {
		for _, step := range job.Steps {
			if !strings.HasPrefix(step.Uses, "actions/setup-go@") {
				continue
			}
			file, _ := step.With["go-version-file"].(string)
			installed := goVersion(t, file)
			for _, dir := range modules(t) {
				if asked := goVersion(t, path.Join(dir, "go.mod")); version.Compare("go"+installed, "go"+asked) < 0 {
					t.Errorf("job %s installs go %q, module %s asks for %s", name, installed, dir, asked)
				}
			}
		}
	}
}

func TestDependabotWatchesEveryModule(t *testing.T) {
	t.Parallel()
	var config struct {
		Version int
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directory   string
			Directories []string
			Schedule    map[string]string
			Groups      map[string]any
		}
	}
	unmarshalStrict(t, ".github/dependabot.yml", &config)
	watched := map[string][]string{}
	for _, u := range config.Updates {
		watched[u.Ecosystem] = append(watched[u.Ecosystem], append(u.Directories, u.Directory)...)
	}
	for _, ecosystem := range []string{"github-actions", "docker", "docker-compose"} {
		if !slices.Contains(watched[ecosystem], "/") {
			t.Errorf("%s is not watched", ecosystem)
		}
	}
	for _, dir := range modules(t) {
		if !slices.ContainsFunc(watched["gomod"], func(pattern string) bool {
			match, err := path.Match(pattern, path.Join("/", dir))
			return err == nil && match
		}) {
			t.Errorf("module %s is not watched", dir)
		}
	}
}

// modules returns the folders of the repository that hold a go.mod.
func modules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := fs.WalkDir(os.DirFS(root), ".", func(file string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && file != "." && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if err == nil && entry.Name() == "go.mod" {
			dirs = append(dirs, path.Dir(file))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(dirs, ".") || !slices.Contains(dirs, "checks/delivery") {
		t.Fatalf("modules = %v", dirs)
	}
	return dirs
}

// goVersion returns the go line of a go.mod.
func goVersion(t *testing.T, file string) string {
	t.Helper()
	mod, err := modfile.Parse(file, readFile(t, file), nil)
	if err != nil {
		t.Fatal(err)
	}
	return mod.Go.Version
}
