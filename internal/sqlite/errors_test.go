package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/sqlite"
)

func TestOpenFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("This is no database, though it is long enough to hold the header of one."), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "missing", "cart.db"), dir, text} {
		if s, err := sqlite.Open(t.Context(), path); err == nil {
			t.Errorf("%s was opened", path)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestOpenOddPath(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a b.db", "50%20?mode=ro#x&y.db", "é☕.db", "file:x", "'\".db"} {
		path := filepath.Join(dir, name)
		open(t, path)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("the file has another name: %v", err)
		}
	}
}

func TestOpenRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	open(t, "cart.db")
	if _, err := os.Stat("cart.db"); err != nil {
		t.Error(err)
	}
}

// While another process writes, reads go on and a Save waits for as long as its context lets it.
func TestOtherWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	s := open(t, path)
	other, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	change := []cart.Change{cart.Diff(nil, usersCart(1, 7))}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = s.Save(ctx, change)
	if cart.CodeOf(err) != cart.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Save: %v", err)
	}
	if got, err := s.Load(t.Context(), []cart.Ref{cart.ActiveOf(1, cart.User(7))}); err != nil || got[0] != nil {
		t.Errorf("Load: %+v, %v", got, err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if saved, err := s.Save(t.Context(), change); err != nil || !saved[0].OK {
		t.Errorf("Save: %+v, %v", saved, err)
	}
}

// A file that was tampered with is a bug, not an outage that passes.
func TestMissingTable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	s := open(t, path)
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec("DROP TABLE cart_item; DROP TABLE cart"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Load(t.Context(), []cart.Ref{cart.ByID(1)})
	if cart.CodeOf(err) != cart.CodeInternal {
		t.Errorf("Load: %v", err)
	}
	_, err = s.Save(t.Context(), []cart.Change{cart.Diff(nil, usersCart(1, 7))})
	if cart.CodeOf(err) != cart.CodeInternal {
		t.Errorf("Save: %v", err)
	}
	if err := s.Ping(t.Context()); cart.CodeOf(err) != cart.CodeInternal {
		t.Errorf("Ping: %v", err)
	}
	if e, ok := errors.AsType[*cart.Error](err); !ok || e.Cause == nil {
		t.Errorf("%#v is no error of the domain with a cause", err)
	}
}
