package verdict

// row says what follows from a broken rule from a release on. Of several rows
// that hold, the last one counts.
type row struct {
	rule    Rule
	since   int
	when    Condition
	outcome Outcome
	source  string
}

// The places that the table cites. The C files are those of systemd.
const (
	blkid    = "libblkid src/partitions/gpt.c"
	dissect  = "dissect-image.c, dissect_image"
	sidecars = "dissect-image.c, verity_settings_load"
	activate = "dissect-image.c, do_crypt_activate_verity"
	sigPart  = "dissect-image.c, dissected_image_load_verity_sig_partition"
	mount    = "dissect-image.c, dissected_image_mount"
	release  = "os-util.c, open_extension_release_at"
	validate = "extension-util.c, extension_release_validate"
	discover = "discover-image.c, image_discover"
	dmVerity = "Linux drivers/md/dm-verity-target.c"
	nobody   = "" // nothing reads it
)

// table is what is known of systemd 252 to 262. What it says of 252, 257 and
// 262 is held by machines that run them (internal/acceptance).
func table() []row {
	return append(append(diskRows(), trustRows()...), contentRows()...)
}

func diskRows() []row {
	return []row{
		{TableBroken, 252, Always, Refused, blkid},
		{TableIgnored, 252, Always, Refused, blkid},
		{TableMBR, 252, Always, Unnoticed, blkid},
		{TableCopy, 252, Always, Unnoticed, blkid},
		{TableSectors, 252, Always, Refused, "gpt.c, gpt_probe"},
		{TableSectorSize, 252, Always, Refused, "loop devices have sectors of 512 bytes there"},
		{TableSectorSize, 253, Always, Fine, "gpt.c, gpt_probe"},
		{TablePartition, 252, Always, Unnoticed, blkid},
		{TableGap, 252, Always, Unnoticed, nobody},

		{PartitionMissing, 252, Always, Refused, dissect},
		{PartitionGeneric, 252, Always, Refused, dissect},
		{PartitionAlone, 252, Always, Refused, dissect},
		{PartitionMixed, 252, Always, Refused, dissect},
		{PartitionTwice, 252, Always, Unnoticed, dissect},
		{PartitionOther, 252, Always, Noted, dissect},
		// With a signature its root hash counts; without one the UUIDs are
		// the root hash, so that they cannot differ from it.
		{PartitionUUID, 252, Always, Unnoticed, sigPart},
		{PartitionTail, 252, Always, Unnoticed, nobody},

		{PolicyBroken, 254, Always, Refused, dissect},
		{PolicyUnknown, 252, Always, Unnoticed, "image policies came with 254"},
		{PolicyWord, 252, Always, Refused, "image-policy.c, image_policy_from_string"},

		{SidecarWithTable, 252, Always, Refused, dissect},
		{SidecarName, 252, Always, Unnoticed, sidecars},
		{SidecarIncomplete, 252, Always, Unnoticed, sidecars},
		{SidecarBroken, 252, Always, Refused, sidecars},
	}
}

func trustRows() []row {
	return []row{
		{TreeUnused, 252, Always, Unchecked, "dissect-image.c, verity_partition"},
		{TreeUnused, 258, Always, Fine, "dissect-image.c guesses the root hash from the UUIDs"},
		{TreeSuperblock, 252, Always, Unnoticed, nobody},
		{TreeSuperblock, 252, TreeUsed, Refused, "libcryptsetup lib/verity/verity.c"},
		{TreeBlockSize, 252, Always, Unnoticed, nobody},
		{TreeBlockSize, 252, TreeUsed, Refused, dmVerity},
		{TreeSize, 252, Always, Unnoticed, nobody},
		{TreeSize, 252, TreeUsed, Refused, dmVerity},
		// Without dm-verity the blocks are read as they are.
		{TreeRoot, 252, Always, Misread, nobody},
		{TreeRoot, 252, TreeUsed, Refused, dmVerity},
		{TreeBlock, 252, Always, Misread, dmVerity},
		{TreePadding, 252, Always, Unnoticed, dmVerity},

		{SignatureMissing, 252, Always, Noted, dissect},
		{SignatureBroken, 252, Always, Unchecked, nobody},
		{SignatureBroken, 252, TreeUsed, Refused, sigPart},
		{SignaturePKCS7, 252, Always, Unchecked, nobody},
		{SignaturePKCS7, 252, TreeUsed, Refused, activate},
		{SignatureUntrusted, 252, Always, Unchecked, nobody},
		{SignatureUntrusted, 252, TreeUsed, Refused, activate},
		{SignatureUntrusted, 259, TreeUsed | VerityAllowed, Unchecked, activate},
		{SignatureIgnored, 252, Always, Unchecked, sigPart},
		{SignatureFingerprint, 252, Always, Unnoticed, sigPart},
		{SignatureEmbedded, 252, Always, Unnoticed, "dissect-image.c, validate_signature_userspace"},
		{SignatureKernel, 252, Always, Unnoticed, "Linux crypto/asymmetric_keys/pkcs7_parser.c"},
		{CertificateDates, 252, Always, Unnoticed, "dissect-image.c, validate_signature_userspace"},
		{CertificateKey, 252, Always, Unnoticed, "dissect-image.c, validate_signature_userspace"},
	}
}

func contentRows() []row {
	return []row{
		{FileSystemUnknown, 252, Always, Refused, dissect},
		{FileSystemBroken, 252, Always, Misread, "the file system in Linux"},
		{FileSystemUntidy, 252, Always, Unnoticed, nobody},
		{Unsupported, 252, Always, Noted, nobody},

		// Metadata of a directory is read without such questions.
		{ReleaseMissing, 252, Always, Refused, mount},
		{ReleaseMissing, 252, Directory, LeftOut, validate},
		{ReleaseName, 252, Always, Refused, release},
		{ReleaseName, 252, Directory, LeftOut, validate},
		{ReleaseCutName, 252, Always, Refused, release},
		{ReleaseCutName, 252, Directory, LeftOut, validate},
		{ReleaseCutName, 256, Always, Fine, release},
		{ReleaseAmbiguous, 252, Always, Refused, release},
		{ReleaseContent, 252, Always, LeftOut, validate},
		{ReleaseArchitecture, 252, Always, Unnoticed, validate},
		{ReleaseScope, 252, Always, Unnoticed, validate},
		{OSRelease, 252, Always, LeftOut, mount},
		{OSRelease, 254, Directory, Refused, "discover-image.c, image_read_metadata"},
		{Confext, 252, Always, LeftOut, discover},
		{Confext, 254, Always, Fine, discover},
		{ImageName, 252, Always, Unnoticed, discover},
		{HostMisfit, 252, Always, LeftOut, validate},
		{Outside, 252, Always, Noted, "sysext.c, merge_hierarchy"},
		{Nothing, 252, Always, Noted, "sysext.c, merge_hierarchy"},
	}
}
