package commit

import (
	"context"
	"iter"
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

// Observer hears of what happens in the queues. Its methods may be called by many goroutines at once, and hold up
// whoever calls them.
type Observer interface {
	// Refused hears of a request that found the queue full.
	Refused(q Queue)

	// Begin hears of a batch before it runs: of the context of each request in it, and how long the request was in the
	// queue, since it came or came back. What it returns is the context of the batch, made from ctx, and a function
	// that is called when the batch has run, with the number of commands that will run again. Callers may have got
	// their answers by then.
	Begin(ctx context.Context, q Queue, requests iter.Seq2[context.Context, time.Duration]) (context.Context, func(again int))
}

// unobserved is the observer of a service that has none.
type unobserved struct{}

func (unobserved) Refused(Queue) {}

func (unobserved) Begin(ctx context.Context, _ Queue, _ iter.Seq2[context.Context, time.Duration]) (context.Context, func(int)) {
	return ctx, func(int) {}
}
