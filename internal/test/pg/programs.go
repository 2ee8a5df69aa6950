//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

var errNoPrograms = errors.New(
	"no PostgreSQL server found: install one (apt-get install postgresql, brew install postgresql) or set TEST_DATABASE_URL")

// usualPlaces are the directories, other than those on PATH, into which packages install the programs.
var usualPlaces = []string{
	"/usr/lib/postgresql/[1-9][0-9]/bin",
	"/usr/pgsql-[1-9][0-9]/bin",
	"/opt/homebrew/opt/postgresql*/bin",
	"/usr/local/opt/postgresql*/bin",
	"/usr/local/pgsql/bin",
}

// FindPrograms returns the directory of the PostgreSQL programs that new servers use.
func FindPrograms(ctx context.Context) (string, error) { return findPrograms(ctx, usualPlaces) }

// binEnv is the variable that names the directory of PostgreSQL's programs.
const binEnv = "TEST_POSTGRES_BIN"

// programs are the names of the programs that a server needs.
var programs = []string{"initdb", "pg_ctl", "postgres"}

// findPrograms returns the directory of PostgreSQL's programs: the one that TEST_POSTGRES_BIN names or,
// without it, the one that pg_config on PATH names, the one on PATH, or the newest in the places, which are
// patterns.
func findPrograms(ctx context.Context, places []string) (string, error) {
	if dir := os.Getenv(binEnv); dir != "" {
		if err := checkPrograms(dir); err != nil {
			return "", fmt.Errorf("%s lacks a program of PostgreSQL: %w", binEnv, err)
		}
		return dir, nil
	}
	var dirs []string
	// If pg_config is missing or broken, the other places remain.
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, pattern := range places {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		slices.Reverse(found) // Glob sorts; the newest comes first
		dirs = append(dirs, found...)
	}
	if i := slices.IndexFunc(dirs, func(dir string) bool { return checkPrograms(dir) == nil }); i >= 0 {
		return dirs[i], nil
	}
	return "", errNoPrograms
}

// checkPrograms returns an error if dir lacks one of the server's programs. A client package has only pg_config.
func checkPrograms(dir string) error {
	for _, name := range programs {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// unprivileged returns the attributes for PostgreSQL's programs: a session of their own, which Ctrl-C does not reach,
// and for root another user, since they refuse to run as root.
func unprivileged() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no other user to run it: %w", err)
	}
	uid, uidErr := strconv.ParseInt(account.Uid, 10, 64)
	gid, gidErr := strconv.ParseInt(account.Gid, 10, 64)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, err
	}
	// On some systems the user nobody has the id -2, which the kernel reads as an unsigned number.
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, nil
}
