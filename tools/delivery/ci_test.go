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

const workflow = ".github/workflows/ci.yml"

// ci is all that the workflow may say. A job cannot ask for permissions of its own.
type ci struct {
	Name        string
	On          map[string]any
	Permissions map[string]string
	Concurrency map[string]string
	Jobs        map[string]struct {
		RunsOn         string `yaml:"runs-on"`
		TimeoutMinutes int    `yaml:"timeout-minutes"`
		Steps          []struct {
			Name string
			If   string
			Uses string
			With map[string]any
			Run  string
		}
	}
}

func readWorkflow(t *testing.T) ci {
	t.Helper()
	var w ci
	unmarshalStrict(t, workflow, &w)
	return w
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
	w := readWorkflow(t)
	for _, event := range []string{"push", "pull_request"} {
		if _, ok := w.On[event]; !ok {
			t.Errorf("does not run on %s", event)
		}
	}
	for name, job := range w.Jobs {
		if job.RunsOn == "" || job.TimeoutMinutes == 0 || len(job.Steps) == 0 {
			t.Errorf("job %s needs runs-on, timeout-minutes and steps", name)
		}
		for i, step := range job.Steps {
			if (step.Run == "") == (step.Uses == "") {
				t.Errorf("job %s, step %d: want either run or uses", name, i)
			}
		}
	}
}

func TestWorkflowRunsMakeCheck(t *testing.T) {
	t.Parallel()
	for _, step := range readWorkflow(t).Jobs["check"].Steps {
		if step.Run == "make check" {
			return
		}
	}
	t.Error("job check does not run make check")
}

func TestWorkflowMayOnlyRead(t *testing.T) {
	t.Parallel()
	got := readWorkflow(t).Permissions
	if diff := cmp.Diff(map[string]string{"contents": "read"}, got); diff != "" {
		t.Errorf("permissions (-want +got):\n%s", diff)
	}
}

func TestWorkflowPinsActions(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[\w./-]+@(v\d+(\.\d+)*|[0-9a-f]{40})$`)
	for name, job := range readWorkflow(t).Jobs {
		for _, step := range job.Steps {
			if step.Uses != "" && !pinned.MatchString(step.Uses) {
				t.Errorf("job %s uses %s, which names no version", name, step.Uses)
			}
		}
	}
}

// setup-go lets no module download a newer Go than the one it installed.
func TestWorkflowHasTheNewestGo(t *testing.T) {
	t.Parallel()
	var installed string
	for _, step := range readWorkflow(t).Jobs["check"].Steps {
		if file, ok := step.With["go-version-file"].(string); ok {
			installed = goVersion(t, file)
		}
	}
	for _, dir := range modules(t) {
		if asked := goVersion(t, path.Join(dir, "go.mod")); version.Compare("go"+installed, "go"+asked) < 0 {
			t.Errorf("the workflow installs go %q, module %s asks for %s", installed, dir, asked)
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
	if !slices.Contains(dirs, ".") || !slices.Contains(dirs, "tools/delivery") {
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
