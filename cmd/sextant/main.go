// Command sextant builds, signs and checks systemd system extension images.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"sextant/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := cli.Main(ctx, cli.System(), os.Args[1:])
	stop()
	os.Exit(status)
}
