package app

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// rawRPC speaks HTTP/2 to the gRPC port, frame by frame.
type rawRPC struct {
	*testing.T
	conn   net.Conn
	framer *http2.Framer
	block  bytes.Buffer
	fields *hpack.Encoder
}

func dialRPC(t *testing.T, address string) *rawRPC {
	t.Helper()
	conn := dial(t, address)
	c := &rawRPC{T: t, conn: conn, framer: http2.NewFramer(conn, conn)}
	c.fields = hpack.NewEncoder(&c.block)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	say(t, conn, http2.ClientPreface)
	c.do(c.framer.WriteSettings())
	return c
}

func (c *rawRPC) do(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// open begins a request and leaves its message out.
func (c *rawRPC) open(stream uint32, method string, more ...[2]string) {
	c.Helper()
	c.do(c.writeOpen(stream, method, more...))
}

func (c *rawRPC) writeOpen(stream uint32, method string, more ...[2]string) error {
	c.block.Reset()
	for _, f := range append([][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	}, more...) {
		if err := c.fields.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	const most = 16 << 10 // in one frame
	first := c.block.Next(most)
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndHeaders: c.block.Len() == 0})
	for err == nil && c.block.Len() > 0 {
		next := c.block.Next(most)
		err = c.framer.WriteContinuation(stream, c.block.Len() == 0, next)
	}
	return err
}

// until reads frames until it finds the one that it looks for.
func (c *rawRPC) until(found func(http2.Frame) bool) {
	c.Helper()
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			c.Fatal(err)
		}
		if found(f) {
			return
		}
	}
}

// ended returns which request ends next, and how.
func (c *rawRPC) ended() (stream uint32, code codes.Code) {
	c.Helper()
	c.until(func(f http2.Frame) (found bool) {
		h, ok := f.(*http2.MetaHeadersFrame)
		if !ok {
			return false
		}
		for _, field := range h.RegularFields() {
			if field.Name == "grpc-status" {
				n, err := strconv.ParseUint(field.Value, 10, 32)
				c.do(err)
				stream, code, found = h.StreamID, codes.Code(n), true
			}
		}
		return found
	})
	return stream, code
}

// status returns how a request ends.
func (c *rawRPC) status(stream uint32) codes.Code {
	c.Helper()
	for {
		if ended, code := c.ended(); ended == stream {
			return code
		}
	}
}

// settled returns when the server has read all frames so far.
func (c *rawRPC) settled() {
	c.Helper()
	c.do(c.framer.WritePing(false, [8]byte{1}))
	c.until(func(f http2.Frame) bool {
		ping, ok := f.(*http2.PingFrame)
		return ok && ping.IsAck()
	})
}

func TestPingFlood(t *testing.T) {
	t.Parallel()
	c := dialRPC(t, serve(t).grpc)
	go func() {
		for c.framer.WritePing(false, [8]byte{}) == nil { // until it is cut off
		}
	}()
	c.until(func(f http2.Frame) bool {
		away, ok := f.(*http2.GoAwayFrame)
		return ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm
	})
	untilCut(t, c.conn)
}

// TestTooMuchMetadata makes requests with too much metadata on a connection on which others are under way. Only they
// fail. The client ignores the limit that the server announces, as many clients do.
func TestTooMuchMetadata(t *testing.T) {
	t.Parallel()
	p := serve(t)
	c := dialRPC(t, p.grpc)
	const others = 16
	id := uint32(1)
	for ; id < 2*others; id += 2 {
		c.open(id, cartv1.CartService_GetCart_FullMethodName)
	}
	methods := []string{
		cartv1.CartService_GetCart_FullMethodName, healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName,
		reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName,
	}
	for _, method := range methods {
		for _, size := range []int{16 << 10, 20_000, 100_000} {
			c.open(id, method, [2]string{"x-large", strings.Repeat("v", size)})
			if got := c.status(id); got != codes.ResourceExhausted {
				t.Errorf("%s with %d bytes of metadata ended with %v, want ResourceExhausted", method, size, got)
			}
			id += 2
		}
	}
	for id := uint32(1); id < 2*others; id += 2 {
		c.do(c.framer.WriteData(id, true, make([]byte, 5))) // a message with nothing in it
	}
	for range others {
		if id, got := c.ended(); id >= 2*others || got != codes.InvalidArgument {
			t.Errorf("request %d ended with %v, want InvalidArgument", id, got)
		}
	}
	until(t, "refusals are counted", func() bool {
		return p.scrape().sum("request_duration_seconds", "transport=grpc", "code=ResourceExhausted") >= 3
	})
}

// TestTooManyStreams opens more requests on one connection than one may have.
func TestTooManyStreams(t *testing.T) {
	t.Parallel()
	c := dialRPC(t, serve(t).grpc)
	const most = 1000
	for i := range uint32(most + 1) {
		c.open(2*i+1, cartv1.CartService_GetCart_FullMethodName)
	}
	c.until(func(f http2.Frame) bool {
		reset, ok := f.(*http2.RSTStreamFrame)
		return ok && reset.StreamID == 2*most+1 && reset.ErrCode == http2.ErrCodeRefusedStream
	})
}

// TestRapidReset opens requests and cancels them at once. Other requests are served all the while.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	p := serve(t)
	s := openShop(t, p)
	cart := s.add(1)
	c := dialRPC(t, p.grpc)
	go io.Copy(io.Discard, c.conn)
	reset := make(chan error, 1)
	go func() {
		var err error
		for i := uint32(0); err == nil && i < 20_000; i++ {
			if err = c.writeOpen(2*i+1, cartv1.CartService_GetCart_FullMethodName); err == nil {
				err = c.framer.WriteRSTStream(2*i+1, http2.ErrCodeCancel)
			}
		}
		reset <- err
	}()
	for {
		if _, err := s.rpc.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: cart.ID}); err != nil {
			t.Error(err)
		}
		select {
		case err := <-reset:
			t.Log("the flood ended with", err) // the server may cut it off
			return
		default:
		}
	}
}
