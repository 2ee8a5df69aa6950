//go:build !unix

package listen

// MaxFiles returns how many files, connections among them, the process may have open at a time, and whether that is
// known.
func MaxFiles() (most uint64, known bool) { return 0, false }
