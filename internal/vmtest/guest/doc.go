// Package guest is the part of the test harness that runs inside the virtual
// machine. It is one static program with two uses.
//
// As process 1 of the initramfs it loads the kernel modules that the host
// chose, and then either (a) mounts the root disk, unpacks the files of the
// test into it and becomes the /sbin/init found there, or (b), where the test
// needs only a kernel, runs the program that came with the initramfs.
//
// Started by a unit after the boot has finished, it runs the script of the
// test and hands back what the script left.
//
// Files travel as tar archives on virtio disks without a file system: the host
// finds nothing to mount, the guest needs no helper program, and modes, owners
// and extended attributes survive. Disks are told apart by their serial
// numbers, as the names /dev/vda, /dev/vdb depend on the order of discovery.
package guest
