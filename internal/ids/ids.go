// Package ids derives every identifier of an image from one seed, so that the
// same plan gives the same image.
//
// With the same seed the results are those of systemd-repart: HMAC-SHA256 with
// the 16 bytes of the seed as key, of which the first 16 bytes become a
// version 4 UUID.
//
//	disk                "disk-uuid"
//	partition           type UUID, then from the second partition of a type on
//	                    a 64-bit little-endian counter that begins with 1
//	file system         "file-system-uuid", the key being the partition's UUID
//	verity superblock   "verity-uuid"
//	verity salt         "verity-salt", all 32 bytes
//
// The file system's UUID comes from the partition UUID that is derived from
// the seed, even where the table carries a half of the root hash instead.
//
// Source: systemd src/repart/repart.c (derive_uuid, derive_salt,
// partition_acquire_uuid, context_acquire_partition_uuids_and_labels).
package ids

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"sextant/internal/format/gpt"
)

// Seed is what all identifiers of an image come from.
type Seed gpt.GUID

// DefaultSeed returns the seed of an image whose configuration names none. It
// stays the same from version to version of an image.
func DefaultSeed(format, imageID string) Seed {
	sum := sha256.Sum256([]byte("sextant seed\x00" + format + "\x00" + imageID))
	return Seed(version4(sum))
}

// Disk returns the disk GUID of the partition table.
func (s Seed) Disk() gpt.GUID { return derive(gpt.GUID(s), []byte("disk-uuid")) }

// Partition returns the UUID of a partition. The number counts the partitions
// of the same type before it; it is 0 for the first.
func (s Seed) Partition(partitionType gpt.GUID, number uint64) gpt.GUID {
	message := partitionType[:]
	if number > 0 {
		message = binary.LittleEndian.AppendUint64(message, number)
	}
	return derive(gpt.GUID(s), message)
}

// VerityUUID returns the UUID in the superblock of a hash tree. It is the same
// for all hash trees of an image.
func (s Seed) VerityUUID() gpt.GUID { return derive(gpt.GUID(s), []byte("verity-uuid")) }

// VeritySalt returns the 32 bytes of salt of a hash tree. It is the same for
// all hash trees of an image.
func (s Seed) VeritySalt() []byte {
	sum := sum(gpt.GUID(s), []byte("verity-salt"))
	return sum[:]
}

// FileSystem returns the UUID of the file system in a partition. partition is
// what Seed.Partition gives or what the configuration sets, not a half of the
// root hash.
func FileSystem(partition gpt.GUID) gpt.GUID {
	return derive(partition, []byte("file-system-uuid"))
}

// VerityPartitions returns the UUIDs of a data partition and its hash
// partition: the first and the last 16 bytes of the root hash, as they are.
// The root hash has at least 16 bytes.
func VerityPartitions(root []byte) (data, hash gpt.GUID) {
	return gpt.GUID(root[:16]), gpt.GUID(root[len(root)-16:])
}

func derive(key gpt.GUID, message []byte) gpt.GUID { return version4(sum(key, message)) }

func sum(key gpt.GUID, message []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, key[:])
	mac.Write(message)
	return [sha256.Size]byte(mac.Sum(nil))
}

// version4 makes the first 16 bytes a random UUID of RFC 9562.
func version4(sum [sha256.Size]byte) gpt.GUID {
	id := gpt.GUID(sum[:16])
	id[6] = id[6]&0x0F | 0x40
	id[8] = id[8]&0x3F | 0x80
	return id
}
