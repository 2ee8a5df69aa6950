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

// Machine is what the figures depend on.
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
	// Load averages of one minute: what else ran before, and what the benchmark added.
	LoadBefore string `json:"load_before"`
	LoadAfter  string `json:"load_after"`
}

// inspect describes the machine. What cannot be found out stays empty, but for the versions of what is measured.
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

// describe names the revision of the files in root, with -dirty where other files are there than were committed. The
// results of the last run do not count, so that two runs of one revision have one name.
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

// said returns what a program wrote; wrk -v ends with an error and says its version all the same.
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
