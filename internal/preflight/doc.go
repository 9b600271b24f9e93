// Package preflight checks what a customization puts together before anything
// is written: whether the extensions that will lie in a base image will be
// merged when it boots, and whether what they bring will be seen.
//
//	extension image   opened as verify does it: table, hash tree, signature against the verity.d of the
//	                  base, name, extension-release against the base's os-release and systemd
//	its place         directories that the release looks into, names that hide each other, directories
//	                  inside of what they are merged into
//	kernel            overlayfs, loop devices, dm-verity, the file system and its compressors, by the
//	                  kernel's configuration or its lists of modules
//	overlays          those of the config and of fstab, against the hierarchies: the same directory,
//	                  below it, stacked too deep, mounted too late
//	service           enabled, so that anything is merged at all
//
// An error is what cannot work, a warning what will surprise somebody, and each
// says what to do. The package reads the root as it will be, with all planned
// changes in it, and changes nothing.
//
// What stands in the comments about releases of systemd was tried on 252, 257
// and 262.
package preflight
