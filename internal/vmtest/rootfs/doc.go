// Package rootfs builds and caches the Debian root filesystems that tests use
// as stock systemd systems: a directory tree to run programs in, and an ext4
// disk image of the same tree to boot.
//
//	CACHE/rootfs/trixie-0123456789ab/    the name ends in a hash of the recipe
//	    tree/                            what mmdebstrap made; never written to
//	    disk.img                         the same as ext4, sparse
//	CACHE/rootfs/trixie.lock             held while trixie is built
//	CACHE/logs/rootfs-trixie.log         what the last build of trixie printed
//
// CACHE is $SEXTANT_TEST_CACHE, else sextant-test in the user's cache
// directory. A directory with the final name is complete: it is built under
// another name and renamed. Nothing here deletes a tree of another recipe, as
// another checkout may use it; remove the cache directory when it is too big.
//
// Which mirror the packages come from is left to mmdebstrap and to the apt
// configuration of the machine.
package rootfs
