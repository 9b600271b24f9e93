# The commands that everybody needs. All real work is in Go and in scripts/.

GO ?= go
export CGO_ENABLED = 0

.PHONY: all demo test test-long fuzz bench clean

all: sextant

# One static binary; the same source gives the same bytes.
sextant: FORCE
	$(GO) build -trimpath -ldflags '-s -w' -o $@ ./cmd/sextant

FORCE:

# Keys, build, signature and check of the example, shown step by step.
demo: sextant
	scripts/demo

# Installs what the tests need, then runs them all, virtual machines included.
test:
	scripts/test

# The same code with larger numbers.
test-long:
	SEXTANT_TEST_LONG=1 scripts/test

# Each fuzz target for FUZZTIME, one after the other.
FUZZTIME ?= 30s
fuzz:
	scripts/fuzz $(FUZZTIME)

# Us against the tools of today, in turn, with the ratio.
bench: sextant
	scripts/bench

clean:
	rm -rf sextant build
