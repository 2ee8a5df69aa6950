package ratelimit

import (
	"testing"
	"time"
)

// TestBucketFills follows a bucket of two carts that fills by one a second.
func TestBucketFills(t *testing.T) {
	t.Parallel()
	r := rate{interval: time.Second, burst: 2 * time.Second}
	var b bucket
	now := time.Now()
	for _, step := range []struct{ after, wait time.Duration }{
		{0, 0},
		{0, 0},
		{0, time.Second},
		{400 * time.Millisecond, 600 * time.Millisecond}, // a cart that is refused takes nothing
		{600 * time.Millisecond, 0},
		{time.Hour, 0},
		{0, 0},
		{0, time.Second}, // it holds two, however long it has filled
	} {
		now = now.Add(step.after)
		if got := b.take(r, now); got != step.wait {
			t.Fatalf("after %v: wait %v, want %v", step.after, got, step.wait)
		}
	}
	b.giveBack(r)
	if got := b.take(r, now); got != 0 {
		t.Errorf("what was given back cannot be taken: wait %v", got)
	}
}
