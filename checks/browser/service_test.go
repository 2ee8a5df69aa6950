package browser

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// startService builds and starts the service on an empty database, and returns its URL. It ends with the test.
func startService(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "sellio-cart")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/sellio-cart")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "APP_ENV=test", "HTTP_PORT=0", "GRPC_PORT=0", "ADMIN_PORT=0", "DATABASE_URL=sqlite:cart.db")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	log := bufio.NewReader(stderr)
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		rest, _ := io.ReadAll(log) // only to show it: Wait reports whether the service failed
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ended with %v\n%s", err, rest)
		}
	})
	for said := ""; ; {
		line, err := log.ReadString('\n')
		if said += line; err != nil {
			t.Fatalf("the service did not start: %v\n%s", err, said)
		}
		var entry struct{ REST string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.REST != "" {
			return entry.REST
		}
	}
}
