package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// ticks a second, the unit of CPU time in /proc. Linux uses hundredths on every architecture that Go supports.
const ticks = 100

// cpuSeconds returns the CPU time that a process has used.
func cpuSeconds(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(text))
}

// parseCPU reads user and system time, the 14th and 15th fields of /proc/PID/stat.
func parseCPU(stat string) (float64, error) {
	// The second field, the name in parentheses, may itself contain spaces and parentheses.
	_, rest, _ := cutLast(stat, ")")
	fields := strings.Fields(rest)
	const user, system = 11, 12
	if len(fields) <= system {
		return 0, fmt.Errorf("not what /proc shows of a process: %q", stat)
	}
	u, err := strconv.ParseInt(fields[user], 10, 64)
	if err != nil {
		return 0, err
	}
	s, err := strconv.ParseInt(fields[system], 10, 64)
	if err != nil {
		return 0, err
	}
	return float64(u+s) / ticks, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// residentBytes returns the resident memory of a process.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseKB(string(text), "VmRSS:")
}

// parseKB reads a line of /proc such as "VmRSS:    1234 kB" and returns bytes.
func parseKB(text, label string) (int64, error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == label && fields[2] == "kB" {
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no line %s", label)
}
