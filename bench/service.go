//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// build builds the static binary as `make build` does, and returns its path.
func build(ctx context.Context, root, dir string) (string, error) {
	path := filepath.Join(dir, "sellio-cart")
	cmd := program(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "./cmd/sellio-cart")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := output(cmd)
	return path, err
}

// environ is the environment of the service: all settings but these have their defaults.
func environ(url string) []string {
	inherited := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains([]string{
			"REQUEST_TIMEOUT", "WRITE_LANES", "READ_LANES", "BATCH_SIZE", "QUEUE_SIZE", "AUTO_MIGRATE", "LOG_LEVEL",
		}, name)
	})
	return append(inherited, "DATABASE_URL="+url, "HTTP_PORT=0", "GRPC_PORT=0", "ADMIN_PORT=0", "APP_ENV=bench", "OTEL_SDK_DISABLED=true")
}

// migrate brings the database at url to the schema of the binary.
func migrate(ctx context.Context, binary, dir, url string) error {
	cmd := program(ctx, binary, "migrate", "up")
	cmd.Dir, cmd.Env = dir, environ(url)
	_, err := output(cmd)
	return err
}

// service is a running sellio-cart.
type service struct {
	cmd *exec.Cmd
	// rest is a URL without a path, grpc an address.
	rest, grpc string
	// ready is the time from the start to the first answer.
	ready  time.Duration
	ended  chan error // the result of the process
	cancel context.CancelFunc
}

// startService returns when the service answers. Its working directory holds no .env.
func startService(ctx context.Context, binary, dir, url string) (*service, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &service{cmd: program(ctx, binary), ended: make(chan error, 1), cancel: cancel}
	s.cmd.Dir, s.cmd.Env = dir, environ(url)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	lines := bufio.NewReader(stderr)
	said, err := s.awaitReady(lines)
	go func() {
		// Wait closes the pipe, so read to the end first. The rest of the log is not needed.
		_, copyErr := io.Copy(io.Discard, lines)
		s.ended <- errors.Join(copyErr, s.cmd.Wait())
	}()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the service did not start: %w\n%s", err, said), s.stop())
	}
	if _, err := fetch(ctx, s.rest+"/healthz"); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.ready = time.Since(began)
	return s, nil
}

// awaitReady reads the log up to the line with the addresses, and returns the text up to there.
func (s *service) awaitReady(log *bufio.Reader) (said string, err error) {
	for {
		line, err := log.ReadString('\n')
		said += line
		if err != nil {
			return said, err
		}
		var entry struct{ REST, GRPC string }
		if err := json.Unmarshal([]byte(line), &entry); err == nil && entry.REST != "" {
			s.rest, s.grpc = entry.REST, entry.GRPC
			return said, nil
		}
	}
}

// stop ends the service and waits until it has ended.
func (s *service) stop() error {
	s.cancel()
	if err := <-s.ended; !errors.Is(err, context.Canceled) {
		return err // it ended early, or did not end on SIGTERM
	}
	return nil
}

// observed runs a load and adds the service's CPU time and memory to its sample.
func (s *service) observed(ctx context.Context, load func(context.Context) (Sample, error)) (Sample, error) {
	pid := s.cmd.Process.Pid
	before, err := cpuSeconds(pid)
	if err != nil {
		return Sample{}, err
	}
	watching, stop := context.WithCancel(ctx)
	largest := make(chan int64, 1)
	go func() { largest <- watchMemory(watching, pid) }()
	sample, err := load(ctx)
	stop()
	sample.RSS = <-largest
	if err != nil {
		return sample, err
	}
	after, err := cpuSeconds(pid)
	sample.CPU = after - before
	return sample, err
}

// watchMemory returns the largest resident memory until the context ends.
func watchMemory(ctx context.Context, pid int) (largest int64) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		// On an error the process has ended, which the load reports.
		if bytes, err := residentBytes(pid); err == nil {
			largest = max(largest, bytes)
		}
		select {
		case <-ctx.Done():
			return largest
		case <-ticker.C:
		}
	}
}

// startTimes starts the service several times, one after the other.
func startTimes(ctx context.Context, binary, dir, url string, times int) ([]float64, error) {
	var all []float64
	for range times {
		s, err := startService(ctx, binary, dir, url)
		if err != nil {
			return nil, err
		}
		all = append(all, milliseconds(s.ready))
		if err := s.stop(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// check reads a cart and checks the answer, since wrk does not.
func (s *service) check(ctx context.Context, lines int) error {
	body, err := fetch(ctx, s.rest+"/api/v1/cart/1")
	if err != nil {
		return err
	}
	var answer struct {
		ID    int
		Items []struct{ Name, Price string }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer.ID != 1 || len(answer.Items) != lines {
		return fmt.Errorf("cart 1 should have %d lines, and is %s", lines, body)
	}
	return nil
}

// fetch returns the body of an answer, on a connection of its own.
func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return body, err
}
