//go:build unix

package listen

import "syscall"

// MaxFiles returns how many files, connections among them, the process may have open at a time, and whether that is
// known.
func MaxFiles() (most uint64, known bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return uint64(limit.Cur), err == nil //nolint:unconvert // it is signed on some systems
}
