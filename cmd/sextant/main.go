// Command sextant builds, signs and checks systemd system extension images.
package main

import (
	"os"

	"sextant/internal/cli"
)

func main() {
	os.Exit(cli.Run())
}
