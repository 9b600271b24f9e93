// Command guest runs inside the virtual machine: as process 1 of the
// initramfs, and as the runner of the test's script. See package guest.
package main

import (
	"fmt"
	"os"
	"strconv"

	"sextant/internal/vmtest/guest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vmtest guest:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if os.Getpid() == 1 {
		return guest.Boot()
	}
	if len(args) != 1 {
		return fmt.Errorf("usage: guest SECONDS")
	}
	seconds, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	return guest.RunScript(seconds)
}
