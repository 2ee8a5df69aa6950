package delivery

import (
	"bytes"
	"context"
	"go/version"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

const program = "/usr/local/bin/sellio-cart"

// offline stands in for the registries: every base image is empty.
type offline struct{}

func (offline) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture":"amd64","os":"linux","config":{}}`), nil
}

// TestImage compiles the Dockerfile as BuildKit does; a warning of its linter is an error.
func TestImage(t *testing.T) {
	t.Parallel()
	dockerfile := readFile(t, "Dockerfile")
	result, err := dockerfile2llb.Dockerfile2LLB(t.Context(), dockerfile, dockerfile2llb.ConvertOpt{
		Config:         dockerui.Config{BuildArgs: map[string]string{"VERSION": "1.2.3"}},
		TargetPlatform: &ocispecs.Platform{OS: "linux", Architecture: "amd64"},
		MetaResolver:   offline{},
		Warn: func(rule, _, _, msg string, at []parser.Range) {
			t.Errorf("%s: %s at %v", rule, msg, at)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := result.Image.Config

	// Exactly these words: with the shell form a shell would stand before them, and the image has none.
	if diff := cmp.Diff([]string{program}, config.Entrypoint); diff != "" {
		t.Errorf("ENTRYPOINT (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"serve"}, config.Cmd); diff != "" {
		t.Errorf("CMD (-want +got):\n%s", diff)
	}
	if config.Healthcheck == nil {
		t.Fatal("no HEALTHCHECK")
	}
	if diff := cmp.Diff([]string{"CMD", program, "healthcheck"}, config.Healthcheck.Test); diff != "" {
		t.Errorf("HEALTHCHECK (-want +got):\n%s", diff)
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(config.User) {
		t.Errorf("USER %q is not a number other than root's", config.User)
	}
	if diff := cmp.Diff(map[string]struct{}{"8080/tcp": {}, "50051/tcp": {}, "9090/tcp": {}}, config.ExposedPorts); diff != "" {
		t.Errorf("EXPOSE (-want +got):\n%s", diff)
	}
	for label, want := range map[string]string{
		"org.opencontainers.image.version":  "1.2.3",
		"org.opencontainers.image.licenses": "MIT",
		"org.opencontainers.image.source":   "https://github.com/sellio/sellio-cart",
	} {
		if got := config.Labels[label]; got != want {
			t.Errorf("label %s = %q, want %q", label, got, want)
		}
	}
}

func TestBaseImagesArePinned(t *testing.T) {
	t.Parallel()
	versioned := regexp.MustCompile(`:\d+\.\d+`)
	for _, stage := range stages(t) {
		if base := stage.BaseName; base != "scratch" && !versioned.MatchString(base) {
			t.Errorf("base image %s names no version", base)
		}
	}
}

// BuildKit creates a WORKDIR with the USER named before it as its owner; the SQLite default needs to write there.
func TestWorkdirIsTheUsers(t *testing.T) {
	t.Parallel()
	all := stages(t)
	commands := all[len(all)-1].Commands
	user := slices.IndexFunc(commands, is[*instructions.UserCommand])
	workdir := slices.IndexFunc(commands, is[*instructions.WorkdirCommand])
	if user < 0 || workdir < user {
		t.Errorf("USER is command %d and WORKDIR command %d of the last stage, want USER first", user, workdir)
	}
}

// An image with an older Go than go.mod asks for cannot build: it may not download another.
func TestBuildImageHasTheGoOfTheModule(t *testing.T) {
	t.Parallel()
	base := stages(t)[0].BaseName
	tag, _, _ := strings.Cut(strings.TrimPrefix(base, "golang:"), "-")
	if want := goVersion(t, "go.mod"); version.Compare("go"+tag, "go"+want) < 0 {
		t.Errorf("%s is older than go %s", base, want)
	}
}

func stages(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(bytes.NewReader(readFile(t, "Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func is[T instructions.Command](c instructions.Command) bool {
	_, ok := c.(T)
	return ok
}

// readFile returns a file of the repository.
func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(root + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
