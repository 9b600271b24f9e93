// Package customize puts files, services and mounts into a base image, without
// root and without running anything of it:
//
//	file ─ Open ─> Base ─ partitions, their file systems, where they are mounted
//	               Base + config ─ New ─> Plan ─ every change, decided on the tree as the system will see it
//	               copy of the base + Plan ─ Apply ─> the new image
//
// Which partition is the root, and where the others are mounted, is decided as
// the system itself will: by its /etc/fstab, and by the types of the Discoverable
// Partitions Specification where fstab says nothing (systemd-gpt-auto-generator(8)).
// A Plan is pure: it has every file with its owner, mode, label and time, and
// applying it twice gives the same bytes.
//
// Left out on purpose: whatever would have to run programs of the image
// (packages, users, boot loaders, scripts), and changes of partitions.
package customize
