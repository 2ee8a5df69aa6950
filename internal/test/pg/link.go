//go:build unix

package pgtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// The types of the protocol messages that the proxy inspects or counts.
const (
	msgQuery         = 'Q'
	msgParse         = 'P'
	msgBind          = 'B'
	msgExecute       = 'E'
	msgSync          = 'S'
	msgFlush         = 'H'
	msgPassword      = 'p'
	msgReadyForQuery = 'Z' // from the server: one for each Query and Sync, and one after connecting
)

// Codes that a client may send instead of a protocol version to ask for encryption.
const (
	sslRequest    = 80877103
	gssEncRequest = 80877104
)

const (
	linkBuffer = 64 << 10
	maxMessage = 1 << 30
)

var (
	errProtocol = errors.New("not a message of the PostgreSQL protocol")
	errCut      = errors.New("connection cut on purpose")
)

// A link is a client's connection and the connection to the server that serves it.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	once           sync.Once
	done           chan struct{}
	strand         func() // stops all traffic for good
	stranded       chan struct{}

	// SQL by the name of the prepared statement; only up uses it.
	prepared map[string]string

	mu       sync.Mutex
	asked    int // number of ReadyForQuery messages requested so far
	answered int // number received
	cutAt    int // the one whose answer is discarded; 0: none
}

func newLink(p *Proxy, client, server net.Conn) *link {
	l := &link{
		proxy: p, client: client, server: server,
		done:     make(chan struct{}),
		stranded: make(chan struct{}),
		prepared: map[string]string{},
		asked:    1,
	}
	l.strand = sync.OnceFunc(func() { close(l.stranded) })
	return l
}

// run forwards in both directions until one of them ends.
func (l *link) run() {
	var wg sync.WaitGroup
	for _, way := range []func() error{l.up, l.down} {
		wg.Go(func() {
			defer l.close()
			// Broken connections are expected; only a protocol error fails the test.
			if err := way(); errors.Is(err, errProtocol) {
				l.proxy.fail(err)
			}
		})
	}
	wg.Wait()
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.done)
		l.client.Close()
		l.server.Close()
	})
}

// up forwards the client's messages.
func (l *link) up() error {
	in := bufio.NewReaderSize(l.client, linkBuffer)
	out := bufio.NewWriterSize(l.server, linkBuffer)
	if err := l.startUp(in, out); err != nil {
		return err
	}
	var buf []byte
	for {
		m, err := l.read(in, buf, 1)
		if err != nil {
			return err
		}
		if err := l.inspect(m); err != nil {
			return err
		}
		if _, err := out.Write(m); err != nil {
			return err
		}
		waits := slices.Contains([]byte{msgQuery, msgSync, msgFlush, msgPassword}, m[0])
		if waits {
			if err := l.lag(); err != nil {
				return err
			}
		}
		if waits || in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		buf = m
	}
}

// startUp forwards the client's first message, which has no type byte. It declines requests for encryption itself.
func (l *link) startUp(in *bufio.Reader, out *bufio.Writer) error {
	for {
		m, err := l.read(in, nil, 0)
		if err != nil {
			return err
		}
		if len(m) < 8 {
			return errProtocol
		}
		if code := binary.BigEndian.Uint32(m[4:]); code == sslRequest || code == gssEncRequest {
			if _, err := l.client.Write([]byte{'N'}); err != nil {
				return err
			}
			continue
		}
		if err := l.lag(); err != nil {
			return err
		}
		if _, err := out.Write(m); err != nil {
			return err
		}
		return out.Flush()
	}
}

// down forwards the server's messages.
func (l *link) down() error {
	in := bufio.NewReaderSize(l.server, linkBuffer)
	out := bufio.NewWriterSize(l.client, linkBuffer)
	var buf []byte
	for {
		m, err := l.read(in, buf, 1)
		if err != nil {
			return err
		}
		deliver, cut := l.receive(m[0])
		if cut {
			return errors.Join(errCut, out.Flush())
		}
		if deliver {
			if _, err := out.Write(m); err != nil {
				return err
			}
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		buf = m
	}
}

// inspect counts a client's message and springs the trap that it matches.
func (l *link) inspect(m []byte) error {
	kind, body := m[0], m[5:]
	switch kind {
	case msgParse:
		name, rest := cutString(body)
		l.prepared[name], _ = cutString(rest)
	case msgQuery, msgBind:
		var prepared string
		if kind == msgBind {
			_, rest := cutString(body) // the portal
			name, _ := cutString(rest)
			prepared = l.prepared[name]
		}
		if t, ok := l.proxy.spring(body, prepared); ok {
			if !t.after {
				return errCut
			}
			l.cutNextAnswer()
		}
	}
	if kind == msgQuery || kind == msgExecute {
		l.proxy.statements.Add(1)
	}
	if kind == msgQuery || kind == msgSync {
		l.proxy.roundTrips.Add(1)
		l.mu.Lock()
		l.asked++
		l.mu.Unlock()
	}
	return nil
}

// cutNextAnswer makes the link discard the answer to the request that the client is sending. Answers to earlier
// requests are still delivered.
func (l *link) cutNextAnswer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cutAt == 0 {
		l.cutAt = l.asked + 1
	}
}

// receive reports whether to deliver a message of the server, and whether to cut the connection after it.
func (l *link) receive(kind byte) (deliver, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	doomed := l.answered+1 == l.cutAt
	if kind == msgReadyForQuery {
		l.answered++
		cut = doomed
	}
	return !doomed, cut
}

// read reads a message. While the proxy hangs, it does not return even if the connection has ended.
func (l *link) read(in *bufio.Reader, buf []byte, skip int) ([]byte, error) {
	m, err := readFrame(in, buf, skip)
	return m, errors.Join(l.passGate(), err)
}

// passGate waits while the proxy hangs.
func (l *link) passGate() error {
	l.proxy.mu.Lock()
	gate := l.proxy.gate
	l.proxy.mu.Unlock()
	select {
	case <-l.stranded:
		gate = nil // never
	default:
	}
	select {
	case <-gate:
		return nil
	case <-l.done:
		return errCut
	}
}

// lag waits for the delay of the proxy.
func (l *link) lag() error {
	l.proxy.mu.Lock()
	d := l.proxy.delay
	l.proxy.mu.Unlock()
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-l.done:
		return errCut
	}
}

// readFrame reads a message into buf or a larger buffer. The message's length field follows skip bytes.
func readFrame(r *bufio.Reader, buf []byte, skip int) ([]byte, error) {
	head, err := r.Peek(skip + 4)
	if err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[skip:])
	if n < 4 || n > maxMessage {
		return nil, errProtocol
	}
	size := skip + int(n)
	buf = slices.Grow(buf[:0], size)[:size]
	_, err = io.ReadFull(r, buf)
	return buf, err
}

// cutString splits off the zero-terminated string at the beginning of b.
func cutString(b []byte) (string, []byte) {
	s, rest, _ := bytes.Cut(b, []byte{0})
	return string(s), rest
}
