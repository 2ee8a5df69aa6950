//go:build unix

package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
)

// Machine describes the hardware and software behind the figures.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     int64  `json:"memory_bytes"`
	System     string `json:"system"`
	Kernel     string `json:"kernel"`
	FileSystem string `json:"file_system"` // of the databases
	Go         string `json:"go"`
	PostgreSQL string `json:"postgresql"`
	Wrk        string `json:"wrk"`
	Revision   string `json:"revision"` // of the service
	// One-minute load averages: before the run for other work on the machine, and after it.
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

// inspect describes the machine. Facts that it cannot find stay empty; only PostgreSQL's version is required.
func inspect(ctx context.Context, t tools, root, dir string) (Machine, error) {
	m := Machine{
		CPU: cpuModel(readFile("/proc/cpuinfo")), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Kernel: strings.TrimSpace(readFile("/proc/sys/kernel/osrelease")), Go: runtime.Version(),
		LoadBefore: loadAverage(),
	}
	m.Memory, _ = parseKB(readFile("/proc/meminfo"), "MemTotal:")
	version, err := output(program(ctx, t.postgres, "--version"))
	if err != nil {
		return m, err
	}
	m.PostgreSQL = strings.TrimPrefix(strings.TrimSpace(string(version)), "postgres (PostgreSQL) ")
	m.Wrk = firstMatch(`wrk (\S+)`, said(exec.CommandContext(ctx, t.wrk, "-v")))
	m.FileSystem = lastField(said(exec.CommandContext(ctx, "df", "--output=fstype", dir)))
	m.Revision = describe(ctx, root)
	return m, nil
}

// describe names the revision in root, with -dirty for uncommitted changes. Changed results do not count: a second run of
// the same revision gets the same name.
func describe(ctx context.Context, root string) string {
	git := func(args ...string) string {
		return strings.TrimSpace(said(exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...)))
	}
	revision := git("describe", "--always")
	if git("diff", "--name-only", "HEAD", "--", ".", ":!BENCHMARKS.md", ":!bench/results") != "" {
		revision += "-dirty"
	}
	return revision
}

// said returns the output of a program, even if it fails: wrk -v prints its version and exits with an error.
func said(cmd *exec.Cmd) string {
	out, _ := cmd.Output()
	return string(out)
}

func readFile(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

func loadAverage() string {
	one, _, _ := strings.Cut(readFile("/proc/loadavg"), " ")
	return one
}

func cpuModel(cpuinfo string) string {
	return strings.TrimSpace(firstMatch(`(?m)^model name\s*: (.*)$`, cpuinfo))
}

func firstMatch(pattern, text string) string {
	if m := regexp.MustCompile(pattern).FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

func lastField(text string) string {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return ""
	}
	return fields[len(fields)-1]
}
