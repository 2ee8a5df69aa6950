package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// proxy makes a server seem far away: each answer arrives later by a delay, so each round trip takes that much longer.
type proxy struct {
	listener net.Listener
	target   string
	delay    time.Duration
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// startProxy listens on a port of its own until close.
func startProxy(ctx context.Context, target string, delay time.Duration) (*proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &proxy{listener: listener, target: target, delay: delay, cancel: cancel}
	p.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			p.wg.Go(func() { p.serve(ctx, client) })
		}
	})
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) close() error {
	err := p.listener.Close()
	p.cancel()
	p.wg.Wait()
	return err
}

// serve joins a client with the server until one of them, or the proxy, ends.
func (p *proxy) serve(ctx context.Context, client net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close() // so the client learns that the server is away
		return
	}
	// Closing both ends both copies.
	context.AfterFunc(ctx, func() { _ = errors.Join(client.Close(), server.Close()) })
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		_, _ = io.Copy(server, client) // ends with the connection, in whatever way
	})
	wg.Go(func() {
		defer cancel()
		p.copyLate(client, server)
	})
	wg.Wait()
}

// packet is what was read at once, and when it is to arrive.
type packet struct {
	data []byte
	due  time.Time
}

// copyLate copies until either side fails. Packets are under way side by side: delay is not a limit of throughput.
func (p *proxy) copyLate(to io.Writer, from io.Reader) {
	packets := make(chan packet, 1024)
	var wg sync.WaitGroup
	wg.Go(func() {
		failed := false
		for late := range packets {
			if failed {
				continue // until the reader has noticed
			}
			<-time.After(time.Until(late.due))
			_, err := to.Write(late.data)
			failed = err != nil
		}
	})
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if n > 0 {
			packets <- packet{buf[:n], time.Now().Add(p.delay)}
		}
		if err != nil {
			break
		}
	}
	close(packets)
	wg.Wait()
}
