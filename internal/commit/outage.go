package commit

import (
	"log/slog"
	"sync/atomic"

	"github.com/sellio/sellio-cart/internal/cart"
)

// outage logs when the store goes out of reach and when it is back, once each: an outage fails
// thousands of batches. Reads and writes have one each, since a full disk stops only writes.
type outage struct {
	log  *slog.Logger
	what string
	down atomic.Bool
}

// observe takes the error of a call to the store, and returns it.
func (o *outage) observe(err error) error {
	switch {
	case err == nil:
		if o.down.Load() && o.down.CompareAndSwap(true, false) {
			o.log.Info("The database is back.", "for", o.what)
		}
	case cart.CodeOf(err) == cart.CodeOutcomeUnknown:
		o.log.Warn("The database did not confirm a batch.", "error", err)
	case cart.CodeOf(err) == cart.CodeUnavailable:
		if o.down.CompareAndSwap(false, true) {
			o.log.Warn("The database is out of reach.", "for", o.what, "error", err)
		}
	}
	return err
}
