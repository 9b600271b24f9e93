// Package verity builds and checks the hash trees of dm-verity.
//
//	hash block 0     superblock: 512 bytes, the rest of the block is zero
//	hash block 1     top level, always one block
//	...              the levels below it, one after the other
//	...              lowest level: the digests of the data blocks
//
// A digest covers the salt and then one block. A hash block holds as many
// digests as fit, rounded down to a power of two, each at a multiple of the
// block size divided by that number; what is left over is zero. The root hash
// is the digest of the top level's block. Data of a single block has no tree:
// the root hash is the digest of that block.
//
// A Builder takes data blocks in any order from any number of goroutines and
// writes their digests straight to their place, so its memory does not grow
// with the data. Verify reads from the top level down and reports every bad
// block; a block below a bad hash block cannot be judged and counts as
// unchecked.
//
// Left out: forward error correction, building trees of hash type 0 (Chrome
// OS; salt behind the data, digests packed), which can only be checked.
//
// Sources: Linux Documentation/admin-guide/device-mapper/verity.rst and
// drivers/md/dm-verity-target.c; for the superblock cryptsetup's
// lib/verity/verity.c and its wiki page DMVerity.
package verity
