package app

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// bridge runs `migrate bridge`, and returns the exit code and all that it prints.
func bridge(t *testing.T, url, sub string) (out string, code int) {
	t.Helper()
	stdout, stderr, code := runOnce(t, []string{"migrate", "bridge", sub}, "DATABASE_URL="+url)
	return stdout + stderr, code
}

func TestBridgeSubcommands(t *testing.T) {
	t.Parallel()
	url := databases[0].url(t)
	for _, step := range []struct {
		before string // SQL
		args   string
		code   int
		want   string
	}{
		{args: "bridge status", want: "the bridge is off\n"},
		{args: "bridge off", want: "the bridge is off\n"},
		{args: "bridge on", want: "the bridge is on\n"},
		{args: "bridge on", want: "the bridge is on\n"},
		{args: "bridge status", want: "the bridge is on\n"},
		{args: "down", code: 1, want: "sellio-cart: the bridge needs the schema as it is: run `sellio-cart migrate bridge off` first\n"},
		{
			before: "DROP TRIGGER sellio_cart_bridge_line ON cart_item", args: "bridge status", code: 1,
			want: "sellio-cart: a part of the bridge is missing, disabled or of another release (sellio_cart_bridge_line): run `sellio-cart migrate bridge on` or `off`\n",
		},
		{args: "down", code: 1, want: "sellio-cart: the bridge needs the schema as it is: run `sellio-cart migrate bridge off` first\n"},
		{args: "bridge off", want: "the bridge is off\n"},
		{args: "down", want: "took back 00005_marketplace_indexes.sql\nthe schema is at version 4 of 5\n"},
		{
			args: "bridge on", code: 1,
			want: "sellio-cart: the database schema is at version 4 and this program needs 5: run `sellio-cart migrate up`, or start with AUTO_MIGRATE=true\n",
		},
	} {
		if step.before != "" {
			if err := execute(t, url, step.before); err != nil {
				t.Fatal(err)
			}
		}
		out, stderr, code := runOnce(t, append([]string{"migrate"}, strings.Fields(step.args)...), "DATABASE_URL="+url)
		if out += stderr; code != step.code || out != step.want {
			t.Errorf("migrate %s: exit code %d, want %d and\n%sgot\n%s", step.args, code, step.code, step.want, out)
		}
	}
}

func TestNothingToBridge(t *testing.T) {
	t.Parallel()
	for _, sub := range []string{"on", "off", "status"} {
		out, code := bridge(t, databases[1].url(t), sub)
		if code != 1 || strings.Count(out, "\n") != 1 || !strings.Contains(out, "there is nothing to bridge") {
			t.Errorf("%s on SQLite: exit code %d\n%s", sub, code, out)
		}
	}
	if out, code := bridge(t, pgtest.NewDatabase(t), "status"); code != 0 || out != "the bridge is off\n" {
		t.Errorf("status of an empty database: exit code %d\n%s", code, out)
	}
}

// TestServeTellsOfBridge also serves while the bridge is installed and removed.
func TestServeTellsOfBridge(t *testing.T) {
	t.Parallel()
	url := databases[0].url(t)
	before := serve(t, "DATABASE_URL="+url)
	if log := before.logged(); strings.Contains(log, "bridge") {
		t.Errorf("without a bridge the log has\n%s", log)
	}
	if out, code := bridge(t, url, "on"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	serve(t, "DATABASE_URL="+url).waitForLog("The bridge to the Python service is on.")
	before.must(http.StatusCreated, nil, http.MethodPost, "/api/v1/cart/add-item", addBody(7, 1))
	if err := execute(t, url, "ALTER TABLE cart DISABLE TRIGGER sellio_cart_bridge_gone"); err != nil {
		t.Fatal(err)
	}
	serve(t, "DATABASE_URL="+url).waitForLog("sellio_cart_bridge_gone")
	if out, code := bridge(t, url, "off"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	before.must(http.StatusCreated, nil, http.MethodPost, "/api/v1/cart/add-item", addBody(7, 2))
}

// checkBridge installs and removes the bridge as the owner of the tables, which the service cannot do, while the service
// serves.
func checkBridge(t *testing.T, owner, service string) {
	t.Helper()
	for _, step := range []struct {
		role, url, sub string
		code           int
		want           string
	}{
		{"the service", service, "on", 1, "sellio_cart_service is not that role"},
		{"the owner", owner, "on", 0, "the bridge is on"},
		{"the service", service, "status", 0, "the bridge is on"},
		{"the service", service, "off", 1, "sellio_cart_service is not that role"},
	} {
		if out, code := bridge(t, step.url, step.sub); code != step.code || !strings.Contains(out, step.want) || strings.Count(out, "\n") != 1 {
			t.Errorf("bridge %s as %s: exit code %d, want %d and %q\n%s", step.sub, step.role, code, step.code, step.want, out)
		}
	}
	serveAll(t, service)
	if out, code := bridge(t, owner, "off"); code != 0 {
		t.Errorf("bridge off as the owner: exit code %d\n%s", code, out)
	}
}

// TestMovingOver runs the commands of the guide on a database of the Python service, and compares what they print.
func TestMovingOver(t *testing.T) {
	t.Parallel()
	url := pgtest.NewDatabase(t)
	if err := execute(t, url, file(t, "internal/postgres/testdata/legacy.sql")); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for block := range strings.SplitSeq(file(t, "docs/moving-over.md"), "```") {
		body, isConsole := strings.CutPrefix(block, "console\n")
		if !isConsole {
			continue
		}
		var printed strings.Builder
		for line := range strings.Lines(body) {
			command, isCommand := strings.CutPrefix(strings.TrimSpace(line), "$ sellio-cart ")
			if !isCommand {
				continue
			}
			ran++
			out, stderr, _ := runOnce(t, strings.Fields(command), "DATABASE_URL="+url)
			printed.WriteString("$ sellio-cart " + command + "\n" + out + stderr)
		}
		if diff := cmp.Diff(strings.ReplaceAll(body, "\n   ", "\n"), "   "+printed.String()); diff != "" {
			t.Errorf("the guide (-) and what its commands print (+): %s", diff)
		}
	}
	if ran == 0 {
		t.Error("the guide has no commands")
	}
}
