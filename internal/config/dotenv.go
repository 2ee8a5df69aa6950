package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"github.com/joho/godotenv"
)

// readDotenv returns the variables of file, none where there is no such file, and which of them are lossy: their values
// refer to variables that no line above sets. The parser puts nothing in their place, though $Word may as well be a part
// of a password.
func readDotenv(file string) (vars map[string]string, lossy map[string]bool, err error) {
	content, err := os.ReadFile(file) //nolint:gosec // G304: the path is the caller's folder and a fixed name
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff")) // editors on Windows write it
	vars, err = godotenv.UnmarshalBytes(content)
	// The parser takes a last line without "=" for a variable without a name.
	if _, nameless := vars[""]; err != nil || nameless {
		// Its error quotes the file, and the file may hold a password.
		return nil, nil, fmt.Errorf("%s: must hold lines of the form NAME=VALUE", file)
	}
	lossy = findLossy(content, vars)
	for name, value := range vars {
		vars[name] = strings.TrimSpace(value)
	}
	return vars, lossy, nil
}

// reference is what the parser takes for one.
var reference = regexp.MustCompile(`\$\(?\{?([A-Z0-9_]+)`)

// findLossy returns the variables whose values change when lines before the file set all that the file refers to.
func findLossy(content []byte, vars map[string]string) map[string]bool {
	var before []byte
	for _, m := range reference.FindAllSubmatch(content, -1) {
		before = fmt.Appendf(before, "%s=x\n", m[1])
	}
	with, err := godotenv.UnmarshalBytes(append(before, content...))
	lossy := make(map[string]bool)
	for name, value := range vars {
		if err != nil || with[name] != value {
			lossy[name] = true
		}
	}
	return lossy
}
