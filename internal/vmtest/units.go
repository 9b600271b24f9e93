package vmtest

import (
	"errors"
	"fmt"
	"time"

	"sextant/internal/vmtest/guest"
)

// maskedUnits have no part in system extensions and cost time under emulation,
// where the start of one process takes about a tenth of a second.
const maskedUnits = `
apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer
man-db.timer systemd-tmpfiles-clean.timer systemd-networkd.service systemd-networkd-wait-online.service
systemd-timesyncd.service systemd-pstore.service getty.target serial-getty@ttyS0.service getty@tty1.service
networking.service ifupdown-pre.service pesign.service rescue.service
systemd-logind.service systemd-logind-varlink.socket systemd-user-sessions.service systemd-binfmt.service
proc-sys-fs-binfmt_misc.automount systemd-random-seed.service
systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-journal-flush.service
modprobe@drm.service modprobe@fuse.service sys-fs-fuse-connections.mount sys-kernel-debug.mount
sys-kernel-tracing.mount sys-kernel-config.mount modprobe@configfs.service dev-hugepages.mount dev-mqueue.mount`

const targetUnit = `[Unit]
Description=Script of the test
Wants=multi-user.target vmtest.service
After=multi-user.target vmtest.service
AllowIsolate=yes
`

const serviceUnit = `[Unit]
Description=Script of the test
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=%s %d
TimeoutStartSec=infinity
StandardOutput=journal+console
StandardError=journal+console
`

// emergencyUnit replaces the prompt for a password, which nobody would answer.
const emergencyUnit = `[Unit]
Description=Emergency
DefaultDependencies=no

[Service]
Type=oneshot
ExecStart=-/bin/sh -c 'journalctl -b --no-pager -o short-monotonic >/dev/console'
ExecStart=-/bin/systemctl poweroff -ff
`

// addUnits adds the units of the harness and the masks.
func addUnits(a *archive, masked []string, timeout time.Duration) error {
	const dir = "/etc/systemd/system/"
	errs := []error{
		a.regular(dir+"vmtest.target", []byte(targetUnit), 0o644),
		a.regular(dir+"vmtest.service", fmt.Appendf(nil, serviceUnit, guest.SelfPath, int(timeout.Seconds())), 0o644),
		a.regular(dir+"emergency.service", []byte(emergencyUnit), 0o644),
	}
	for _, unit := range masked {
		errs = append(errs, a.symlink("/dev/null", dir+unit))
	}
	return errors.Join(errs...)
}

// addIdentity makes the first boot look like any later one: with a machine id
// systemd leaves out the presets of a first boot, with the .updated files it
// leaves out the rebuilding of caches that are fresh.
func addIdentity(a *archive) error {
	return errors.Join(
		a.regular("/etc/machine-id", []byte("5e47a27000000000000000000000c0de\n"), 0o444),
		a.regular("/etc/hostname", []byte("vmtest\n"), 0o644),
		a.regular("/etc/.updated", nil, 0o644),
		a.regular("/var/.updated", nil, 0o644),
	)
}
