// Package vmtest boots virtual machines for tests: a stock Debian system with
// the systemd of its release, or only its kernel with one program.
//
//	vm := vmtest.New(t, rootfs.Trixie())
//	vm.CopyIn("custom-tools_1.0.0.raw", "/var/lib/extensions/custom-tools_1.0.0.raw")
//	vm.WriteFile("/etc/verity.d/custom-tools.crt", certificate, 0o644)
//	result := vm.MustRun("findmnt --json /usr > $RESULTS/usr.json; custom-tools --version")
//
// What happens on Run:
//
//	host   root disk: a qcow2 layer over the cached ext4 image, kept between the runs of one VM
//	       input disk: a tar archive of the files given since the run before
//	       initramfs: the static program of package guest with the modules it needs
//	guest  mount the root disk, unpack the input disk into it, exec /sbin/init: the files
//	       are there before the first unit of systemd starts
//	       vmtest.service, after multi-user.target: the script, then results to the output disk
//	       systemctl poweroff
//	host   read the output disk, which is again a tar archive
//
// systemd, udev and systemd-sysext are Debian's, unmodified and started by
// their own units; only units that have no part in extensions are masked (see
// maskedUnits). No step on the host needs root or mounts anything, once the
// root filesystems are built.
//
// The processor is emulated: -smp 1 and a single TCG thread, as two virtual
// processors end in a double fault with the QEMU of Debian 12. At most two
// machines run at a time, counted across all test processes.
//
// The console log of every boot lies in $SEXTANT_TEST_ARTIFACTS, else in the
// logs directory of the cache, and is removed when the test has passed.
package vmtest
