package ids_test

import (
	"encoding/hex"
	"testing"

	"sextant/internal/format/gpt"
	"sextant/internal/ids"
)

// The vectors come from systemd-repart 257.13 and 262.1, which agree:
//
//	systemd-repart --seed=0123456789abcdef0123456789abcdef --offline=yes
//	  --empty=create --size=auto --definitions=... --root=... image.raw
//
// with the built-in sysext definitions, and with three linux-generic partitions.
func TestVectorsOfRepart(t *testing.T) {
	seed := ids.Seed(gpt.MustParseGUID("01234567-89ab-cdef-0123-456789abcdef"))
	root := gpt.MustParseGUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
	generic := gpt.MustParseGUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
	sig := gpt.MustParseGUID("41092b05-9fc8-4523-994f-2def0408b176")
	for _, test := range []struct {
		what string
		got  gpt.GUID
		want string
	}{
		{"disk", seed.Disk(), "6913f4b6-6690-4a57-a202-f1b53c56dbdf"},
		{"signature partition", seed.Partition(sig, 0), "ca977224-9a98-40c9-bef7-eae884d35446"},
		{"first of a type", seed.Partition(generic, 0), "3ed50935-b785-4a2a-879d-dd4c00395d47"},
		{"second of a type", seed.Partition(generic, 1), "ff20ebae-a7df-4fb5-ac96-557ee3704996"},
		{"third of a type", seed.Partition(generic, 2), "536afc45-900b-4a42-80f7-06185a987e3d"},
		{"verity UUID", seed.VerityUUID(), "898929e6-7747-423e-8593-3659ba461e7c"},
		{"file system", ids.FileSystem(seed.Partition(root, 0)), "e23fa935-5911-428c-b168-a4b761ee82bd"},
	} {
		if test.got.String() != test.want {
			t.Errorf("%s = %s, want %s", test.what, test.got, test.want)
		}
	}
	const salt = "c65b6ab68edf421fcc0cb48ba60f7f14f5186b4d003d21ab3b334b91de16759c"
	if got := hex.EncodeToString(seed.VeritySalt()); got != salt {
		t.Errorf("VeritySalt() = %s, want %s", got, salt)
	}
}

// TestDefaultSeed pins the seed of images without Seed=, as another one would
// give every identifier, and so every image, other bytes.
func TestDefaultSeed(t *testing.T) {
	for _, test := range []struct{ format, imageID, want string }{
		{"sysext", "custom-tools", "c42848ac-6007-4aab-9574-a3824ad57869"},
		{"confext", "custom-tools", "af5d002b-c48c-4fdb-85fc-cfcc0b09b5e5"},
		{"sysext", "", "d68ed8ad-d643-4441-9cc5-2919260d5476"},
	} {
		got := gpt.GUID(ids.DefaultSeed(test.format, test.imageID))
		if got.String() != test.want {
			t.Errorf("DefaultSeed(%q, %q) = %s, want %s", test.format, test.imageID, got, test.want)
		}
		if got[6]>>4 != 4 || got[8]>>6 != 2 {
			t.Errorf("DefaultSeed(%q, %q) = %s is not of version 4", test.format, test.imageID, got)
		}
	}
}
