package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// progress is a line on a terminal that says how far long work is. Where
// standard error is not a terminal it prints nothing at all.
type progress struct {
	mu    sync.Mutex
	w     io.Writer // nil where nobody looks
	what  string
	now   func() time.Time
	start time.Time
	last  time.Time
	drawn bool
}

// Quick work shows no line; a line changes at most ten times a second.
const (
	progressDelay    = 300 * time.Millisecond
	progressInterval = 100 * time.Millisecond
)

func newProgress(env Env, what string) *progress {
	p := &progress{what: what, now: env.Now, start: env.Now()}
	if isTerminal(env.Stderr) {
		p.w = env.Stderr
	}
	return p
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// report says that done of total bytes are finished. It may be called from
// several goroutines.
func (p *progress) report(done, total int64) {
	if p.w == nil || total == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now.Sub(p.start) < progressDelay || now.Sub(p.last) < progressInterval {
		return
	}
	p.last, p.drawn = now, true
	fmt.Fprintf(p.w, "\r\x1b[K%s: %d%% of %s", p.what, done*100/total, bytesText(total))
}

// clear takes the line away.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// bytesText writes a size the way fdisk does: 38.1M, 16K, 512B.
func bytesText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	value, unit := float64(n), -1
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if value == float64(int64(value)) {
		return fmt.Sprintf("%d%c", int64(value), units[unit])
	}
	return fmt.Sprintf("%.1f%c", value, units[unit])
}

const units = "KMGTP"
