package activate

import (
	"os"
	"strconv"

	"sextant/internal/discover"
	"sextant/internal/settings"
)

// SwitchedOff returns the option of the kernel's command line that says no to
// the units of the class, or "". Whoever runs a command by hand means it.
func (r *Request) SwitchedOff() string {
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
func (r *Request) inUnit() bool {
	pid, ok := r.Environ.Lookup("SYSTEMD_EXEC_PID")
	return ok && (pid == "*" || pid == strconv.Itoa(os.Getpid()))
}
