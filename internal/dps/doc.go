// Package dps knows the partition types of the Discoverable Partitions
// Specification: which UUID stands for which role on which architecture, and
// under which names systemd, mkosi, Go, the kernel and fdisk know them.
//
// Source: UAPI.2 (Discoverable Partitions Specification); names and aliases
// from systemd (src/shared/gpt.c, src/basic/architecture.c), descriptions from
// util-linux (include/pt-gpt-partnames.h).
package dps
