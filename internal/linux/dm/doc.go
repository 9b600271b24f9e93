// Package dm makes device mapper devices (linux/dm-ioctl.h). It knows no target
// but takes a table's text.
//
// A device is born in three steps: Create gives it a name, Load a table, Resume
// makes it usable as /dev/dm-N. Where udev runs, it makes the link below
// /dev/mapper, and leaves the device alone otherwise: no disk is looked for on it.
package dm
