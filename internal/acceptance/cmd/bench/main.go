// Command bench times sextant and the tools of today in turn and prints what
// came out as Markdown. It needs root, Debian's sid as internal/vmtest/rootfs
// makes it, and the erofs-utils and cryptsetup of the machine.
//
//	bench [-n RUNS] [-only TEXT] [-update] SEXTANT
//
// All files are in memory (/dev/shm) for both sides, so that no disk decides;
// in the rows that say so, they are on the disk of this program, or the other
// side has its temporary files in a /var/tmp there, as it has on most machines.
// The clock runs where the tool runs: for those of sid that is in the chroot,
// which is set up before and taken down after.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const document = "docs/measurements.md"

// marker stands in the document before what bench -update writes.
const marker = "<!-- from here on: make bench -->\n"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "tool" {
		return tool(ctx, args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	runs := flags.Int("n", 7, "runs of each side")
	only := flags.String("only", "", "contests with this in their name")
	update := flags.Bool("update", false, "write the result into "+document)
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		return fmt.Errorf("usage: bench [-n RUNS] [-only TEXT] [-update] SEXTANT")
	}
	b, err := newBench(flags.Arg(0), *runs)
	if err != nil {
		return err
	}
	defer b.close()
	text, err := b.all(ctx, *only)
	if err != nil {
		return err
	}
	fmt.Print(text)
	if !*update {
		return nil
	}
	return rewrite(text)
}

// rewrite replaces what stands behind the marker.
func rewrite(text string) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	head, _, found := strings.Cut(string(old), marker)
	if !found {
		return fmt.Errorf("%s has no line %q", filepath.Clean(document), strings.TrimSpace(marker))
	}
	return os.WriteFile(document, []byte(head+marker+"\n"+text), 0o644)
}
