package commit

import (
	"context"
	"time"
)

// Queue names one of the three queues of a [Service].
type Queue uint8

// The queues.
const (
	Writes Queue = iota // commands
	Reads               // reads by id and by owner
	Lists               // listings
	Queues              // how many there are
)

// String returns the name of the queue.
func (q Queue) String() string { return [Queues]string{"writes", "reads", "lists"}[q] }

// Request is a request of a batch that begins.
type Request struct {
	Context context.Context // of the caller
	Waited  time.Duration   // since the request was last queued
}

// Observer is told what happens in the queues. Its methods may be called by many goroutines at once, and the queues
// wait for them to return.
type Observer interface {
	// Refused is called for a request that found the queue full.
	Refused(q Queue)

	// Begin is called before a batch runs. It returns the context of the batch, made from ctx, and a function that is
	// called when the batch has run, with the number of commands that will run again. Callers may have got their
	// answers by then.
	Begin(ctx context.Context, q Queue, requests []Request) (context.Context, func(again int))
}

// unobserved is the observer of a service that has none.
type unobserved struct{}

func (unobserved) Refused(Queue) {}

func (unobserved) Begin(ctx context.Context, _ Queue, _ []Request) (context.Context, func(int)) {
	return ctx, func(int) {}
}
