// Command rootfs builds the root filesystems that tests boot, all of them or
// those named, and prints where each tree is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"sextant/internal/vmtest/rootfs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	for _, r := range rootfs.Releases() {
		if len(os.Args) > 1 && !slices.Contains(os.Args[1:], r.Suite) {
			continue
		}
		start := time.Now()
		built, err := rootfs.Build(ctx, r)
		if err != nil {
			fmt.Fprintln(os.Stderr, "rootfs:", err)
			os.Exit(1)
		}
		fmt.Fprintf(os.Stderr, "rootfs: %s ready after %.0f s\n", r, time.Since(start).Seconds())
		fmt.Println(built.Tree)
	}
}
