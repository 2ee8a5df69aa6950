package rpc

import (
	"runtime"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/sellio/sellio-cart/internal/cart"
)

// maxUnsent is how many bytes of lists may wait for clients to take them, on all connections. The list that comes to
// exceed it is sent, further ones are refused.
const maxUnsent = 32 << 20

// unsent counts the bytes of lists that the library holds until clients take them. The library ends a request when it
// has the answer, and not when the client has it: one that takes nothing could make it hold any number of lists.
type unsent struct{ bytes atomic.Int64 }

// check returns [cart.ErrOverloaded] while too much waits.
func (u *unsent) check() error {
	if u.bytes.Load() > maxUnsent {
		return cart.ErrOverloaded
	}
	return nil
}

// hold counts the bytes until the library has sent them, or has forgotten them with their connection.
func (u *unsent) hold(data []byte) mem.Buffer {
	size := int64(len(data)) // release must not refer to the data, or it would never be collected
	u.bytes.Add(size)
	release := sync.OnceFunc(func() { u.bytes.Add(-size) })
	held := &data
	runtime.AddCleanup(held, func(release func()) { release() }, release)
	return mem.NewBuffer(held, sent(release))
}

// sent is a [mem.BufferPool] that calls a function when a buffer is given back.
type sent func()

// Get implements [mem.BufferPool].
func (sent) Get(length int) *[]byte {
	buf := make([]byte, length)
	return &buf
}

// Put implements [mem.BufferPool].
func (s sent) Put(*[]byte) { s() }
