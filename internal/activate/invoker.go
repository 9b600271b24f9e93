package activate

import (
	"os"
	"strconv"
	"strings"

	"sextant/internal/discover"
	"sextant/internal/settings"
)

// adminCapability is CAP_SYS_ADMIN of capabilities(7).
const adminCapability = 21

// Privileged reports whether the process may mount.
func Privileged() bool {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return os.Geteuid() == 0
	}
	_, rest, ok := strings.Cut(string(status), "\nCapEff:\t")
	if !ok {
		return os.Geteuid() == 0
	}
	word, _, _ := strings.Cut(rest, "\n")
	set, err := strconv.ParseUint(word, 16, 64)
	return err == nil && set&(1<<adminCapability) != 0
}

// SwitchedOff returns the option of the kernel's command line that says no to
// the units of the class, or "". Whoever runs a command by hand means it.
func (r Request) SwitchedOff() string {
	if !r.inUnit() {
		return ""
	}
	option := "systemd." + r.Class.String()
	if r.Root == "" && discover.IsInitrd("") {
		option = "rd." + option
	}
	if settings.ReadCommandLine(r.Environ).Bool(option, true, true) {
		return ""
	}
	return option
}

// inUnit reports whether the service manager started this process itself. A star
// is for tests.
func (r Request) inUnit() bool {
	pid, ok := r.Environ.Lookup("SYSTEMD_EXEC_PID")
	return ok && (pid == "*" || pid == strconv.Itoa(os.Getpid()))
}
