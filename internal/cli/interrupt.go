package cli

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// interrupts is a context that ends with an interrupt or SIGTERM; a second one
// ends the program at once. It listens from when somebody first asks, as that
// costs half a millisecond: a verb that only reads, and a merge, which may be
// killed at any moment, are ended by the signal itself.
type interrupts struct {
	once    sync.Once
	context context.Context
}

func (i *interrupts) listen() context.Context {
	i.once.Do(func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		i.context = ctx
	})
	return i.context
}

// Deadline returns none.
func (i *interrupts) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done returns a channel that the first signal closes.
func (i *interrupts) Done() <-chan struct{} { return i.listen().Done() }

// Err returns context.Canceled after the first signal.
func (i *interrupts) Err() error { return i.listen().Err() }

// Value returns nil: there are none.
func (i *interrupts) Value(any) any { return nil }
