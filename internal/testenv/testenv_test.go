package testenv_test

import (
	"runtime"
	"strings"
	"testing"

	"sextant/internal/testenv"
)

func TestRequire(t *testing.T) {
	for _, c := range []struct {
		asked, program string
		want           string // what happens to the test, and what it says
	}{
		{"", "sh", ""},
		{"all", "sh", ""},
		{"", "no-such-program", "skipped: no-such-program"},
		{"vm,root", "no-such-program", "skipped: no-such-program"},
		{"all", "no-such-program", "failed: no-such-program"},
		{"root,no-such-program", "no-such-program", "failed: no-such-program"},
	} {
		t.Setenv("TEST_REQUIRE", c.asked)
		r := &recorder{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			testenv.Require(r, c.program)
		}()
		<-done
		if r.outcome != c.want {
			t.Errorf("Require(%s) with TEST_REQUIRE=%s: %q, want %q", c.program, c.asked, r.outcome, c.want)
		}
	}
}

// recorder notes what would have happened to a test.
type recorder struct {
	testing.TB
	outcome string
}

func (r *recorder) Skip(args ...any) { r.end("skipped", args[0].(string)) }

func (r *recorder) Fatalf(format string, args ...any) { r.end("failed", args[0].(string)) }

func (r *recorder) end(how, why string) {
	r.outcome = how
	if strings.Contains(why, "no-such-program") {
		r.outcome += ": no-such-program"
	}
	runtime.Goexit()
}
