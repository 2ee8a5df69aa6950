package rpc

import (
	"runtime"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/mem"

	"github.com/sellio/sellio-cart/internal/cart"
)

// maxUnsent is how many bytes of lists may wait for clients to read them, over all connections. The list that exceeds
// the limit is still sent; further ones are refused.
const maxUnsent = 32 << 20

// unsent counts the bytes of lists that the library buffers until clients read them. For the library, a request is over
// when the answer is queued, not when the client has read it. So a client that reads nothing could make the library
// buffer any number of lists.
type unsent struct{ bytes atomic.Int64 }

// check returns [cart.ErrOverloaded] while too many bytes wait.
func (u *unsent) check() error {
	if u.bytes.Load() > maxUnsent {
		return cart.ErrOverloaded
	}
	return nil
}

// hold counts the bytes until the library has sent them, or has dropped them with their connection.
func (u *unsent) hold(data []byte) mem.Buffer {
	size := int64(len(data)) // release must not refer to the data, or it would never be collected
	u.bytes.Add(size)
	release := sync.OnceFunc(func() { u.bytes.Add(-size) })
	held := &data
	runtime.AddCleanup(held, func(release func()) { release() }, release)
	return mem.NewBuffer(held, sent(release))
}

// sent is a [mem.BufferPool] that is called when a buffer is returned.
type sent func()

// Get implements [mem.BufferPool].
func (sent) Get(length int) *[]byte {
	buf := make([]byte, length)
	return &buf
}

// Put implements [mem.BufferPool].
func (s sent) Put(*[]byte) { s() }
