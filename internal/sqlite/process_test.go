//go:build unix

package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/sqlite"
)

// The environment of a process that a test has started: its role, the database file, and the user whose carts it writes.
const (
	roleVariable = "SQLITE_TEST_ROLE"
	pathVariable = "SQLITE_TEST_PATH"
	userVariable = "SQLITE_TEST_USER"
)

func TestMain(m *testing.M) {
	role := os.Getenv(roleVariable)
	if role == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := play(role, os.Getenv(pathVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func play(role, path string) error {
	switch role {
	case "writer":
		user, err := strconv.ParseInt(os.Getenv(userVariable), 10, 64)
		if err != nil {
			return err
		}
		return openAndSave(context.Background(), path, user, 20)
	case "broken disk":
		return brokenDisk(context.Background(), path)
	default:
		return fmt.Errorf("there is no role %q", role)
	}
}

// start returns the error of another process of this test binary in that role.
func start(ctx context.Context, role, path string, user int64) error {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, pathVariable+"="+path, userVariable+"="+strconv.FormatInt(user, 10))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func TestProcesses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	const processes = 3
	var wg sync.WaitGroup
	for user := range int64(processes) {
		wg.Go(func() {
			if err := start(t.Context(), "writer", path, user+1); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantCarts(t, path, processes, 20)
}

// When the disk fails at COMMIT, there is no telling what a crash would leave.
func TestBrokenDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	if err := start(t.Context(), "broken disk", path, 0); err != nil {
		t.Error(err)
	}
	wantCarts(t, path, 1, 2)
}

// brokenDisk forbids its process to make files longer while it saves. That fails the write of the log,
// which small transactions do at COMMIT only.
func brokenDisk(ctx context.Context, path string) (err error) {
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	first, second := cart.Diff(nil, usersCart(1, 1)), cart.Diff(nil, usersCart(2, 1))
	if _, err := s.Save(ctx, []cart.Change{first}); err != nil {
		return err
	}
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	broken := limit
	broken.Cur = 1
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &broken); err != nil {
		return err
	}
	if _, err := s.Save(ctx, []cart.Change{second}); cart.CodeOf(err) != cart.CodeOutcomeUnknown {
		return fmt.Errorf("Save on a broken disk: %w", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	// Repeating is safe, and there is no transaction left in the way.
	if _, err := s.Save(ctx, []cart.Change{second}); err != nil {
		return fmt.Errorf("Save on the mended disk: %w", err)
	}
	return nil
}
