package app

import (
	"bytes"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the examples really print into the documents")

// TestExamples runs the console blocks of the documents as they stand, each document on a service of its
// own, and compares what they print with what the document shows.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../README.md", "../../REST_API.md", "../../docs/marketplace.md"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			document, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := serve(t)
			dir := t.TempDir()
			ran := 0
			result := consoleBlock.ReplaceAllFunc(document, func(block []byte) []byte {
				var out bytes.Buffer
				out.WriteString("```console\n")
				for _, example := range examples(block) {
					out.WriteString("$ " + example + "\n")
					out.WriteString(p.runExample(dir, example))
					ran++
				}
				out.WriteString("```\n")
				return out.Bytes()
			})
			if ran == 0 {
				t.Fatal("the document has no examples")
			}
			diff := cmp.Diff(mask(document), mask(result))
			switch {
			case diff == "":
			case *update:
				if err := os.WriteFile(file, result, 0o600); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("the document (-) and what its examples print (+); -update writes it: %s", diff)
			}
		})
	}
}

var consoleBlock = regexp.MustCompile("(?s)```console\n.*?```\n")

// examples returns the commands of a block. A command goes on after a line that ends in a backslash.
func examples(block []byte) (commands []string) {
	for _, m := range regexp.MustCompile(`(?m)^\$ ((?:.*\\\n)*.*)$`).FindAllSubmatch(block, -1) {
		commands = append(commands, string(m[1]))
	}
	return commands
}

// runExample runs a command against p, and returns what it prints as if p had the default ports.
func (p *process) runExample(dir, example string) string {
	p.t.Helper()
	host := strings.TrimPrefix(p.rest, "http://")
	script := strings.NewReplacer("localhost:8080", host, "localhost:50051", p.grpc).Replace(example)
	cmd := exec.CommandContext(p.t.Context(), "sh", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	var noise bytes.Buffer // such as downloads of the go command
	cmd.Stderr = &noise
	out, err := cmd.Output()
	if err != nil {
		p.t.Errorf("%s\n%v\n%s%s", example, err, out, noise.Bytes())
	}
	text := strings.NewReplacer(host, "localhost:8080", p.grpc, "localhost:50051", "\r\n", "\n").Replace(string(out))
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// mask replaces what differs from run to run: times, guests' cookies, ids of errors.
func mask(document []byte) string {
	s := string(document)
	s = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`).ReplaceAllString(s, "TIME")
	s = regexp.MustCompile(`Date: .*`).ReplaceAllString(s, "Date: TIME")
	s = regexp.MustCompile(`X-Request-Id: .*`).ReplaceAllString(s, "X-Request-Id: ID")
	return regexp.MustCompile(`(sellio_cart=|"cookie":")[A-Za-z0-9_-]{32,}`).ReplaceAllString(s, "${1}COOKIE")
}

// TestCheckout runs examples/checkout.sh, which ends with the orders of two companies.
func TestCheckout(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := openShop(t, serve(t, "DATABASE_URL="+url))
		cmd := exec.CommandContext(t.Context(), "../../examples/checkout.sh")
		cmd.Env = append(os.Environ(), "CART="+s.rest, "USER_ID=42")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		var orders []struct{ Status int }
		s.get("/api/v1/carts/by-user?user_id=42").into(&orders, http.StatusOK)
		if len(orders) != 2 || orders[0].Status != 3 || orders[1].Status != 3 {
			t.Errorf("the orders are %+v, want two that are CHECKED_OUT", orders)
		}
	})
}
