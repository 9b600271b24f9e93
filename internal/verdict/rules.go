package verdict

// Rule names a rule that an image can break. It is what a finding of verify
// carries as its id.
type Rule string

// The rules about the partition table and what lies between the partitions.
const (
	TableBroken     Rule = "table-broken"      // neither copy can be used
	TableIgnored    Rule = "table-ignored"     // the protective MBR does not protect
	TableMBR        Rule = "table-mbr"         // the protective MBR is odd
	TableCopy       Rule = "table-copy"        // one copy is damaged, or says other things
	TableSectors    Rule = "table-sectors"     // nothing tells that sectors have 4096 bytes
	TableSectorSize Rule = "table-sector-size" // not 512
	TablePartition  Rule = "table-partition"   // an entry is odd
	TableGap        Rule = "table-gap"         // bytes of no partition are not zero
)

// The rules about which partitions there are.
const (
	PartitionMissing  Rule = "partition-missing"  // no root and no usr
	PartitionGeneric  Rule = "partition-generic"  // several that could be root
	PartitionAlone    Rule = "partition-alone"    // a hash or signature partition without what it is for
	PartitionMixed    Rule = "partition-mixed"    // root and usr that do not go together
	PartitionTwice    Rule = "partition-twice"    // two for one role, of which one counts
	PartitionOther    Rule = "partition-other"    // one that no extension uses
	PartitionUUID     Rule = "partition-uuid"     // not the half of the root hash
	PartitionTail     Rule = "partition-tail"     // bytes behind the content are not zero
	PolicyBroken      Rule = "policy"             // the image policy does not allow the image
	PolicyUnknown     Rule = "policy-unknown"     // the release knows no policies
	PolicyWord        Rule = "policy-word"        // the release does not know a word of it
	SidecarWithTable  Rule = "sidecar-with-table" // .verity beside an image with a partition table
	SidecarName       Rule = "sidecar-name"       // a file that looks like a side-car, and is none
	SidecarIncomplete Rule = "sidecar-incomplete" // root hash without tree, or tree without root hash
	SidecarBroken     Rule = "sidecar-broken"     // a root hash or signature that systemd does not read
)

// The rules about the hash tree.
const (
	TreeUnused     Rule = "tree-unused"     // nobody looks at the hash tree
	TreeSuperblock Rule = "tree-superblock" // it cannot be read
	TreeBlockSize  Rule = "tree-block-size" // Linux does not take it
	TreeSize       Rule = "tree-size"       // the data partition is smaller than the tree says
	TreeRoot       Rule = "tree-root"       // the root hash does not match
	TreeBlock      Rule = "tree-block"      // a block does not match
	TreePadding    Rule = "tree-padding"    // bytes that nothing covers are not zero
)

// The rules about the signature.
const (
	SignatureMissing     Rule = "signature-missing"     // there is none
	SignatureBroken      Rule = "signature-broken"      // the partition cannot be read
	SignaturePKCS7       Rule = "signature-pkcs7"       // it is not PKCS#7
	SignatureUntrusted   Rule = "signature-untrusted"   // no trusted certificate vouches
	SignatureIgnored     Rule = "signature-ignored"     // the release does not look at it
	SignatureFingerprint Rule = "signature-fingerprint" // certificateFingerprint is another certificate's
	SignatureEmbedded    Rule = "signature-embedded"    // a certificate inside is not the signer's
	SignatureKernel      Rule = "signature-kernel"      // only user space can check it
	CertificateDates     Rule = "certificate-dates"     // expired, or not yet valid
	CertificateKey       Rule = "certificate-key"       // a short key
)

// The rules about the file system and what is in it.
const (
	FileSystemUnknown   Rule = "file-system-unknown"  // there is none
	FileSystemBroken    Rule = "file-system"          // its structure is broken
	FileSystemUntidy    Rule = "file-system-untidy"   // its structure is odd
	ReleaseMissing      Rule = "release-missing"      // no extension-release
	ReleaseName         Rule = "release-name"         // none that fits the name of the image
	ReleaseCutName      Rule = "release-cut-name"     // fits only up to the first _ or +
	ReleaseAmbiguous    Rule = "release-ambiguous"    // several that fit
	ReleaseContent      Rule = "release-content"      // it fits no host
	ReleaseArchitecture Rule = "release-architecture" // not that of the partition
	ReleaseScope        Rule = "release-scope"        // a word that nobody knows
	OSRelease           Rule = "os-release"           // /usr/lib/os-release is in it
	Confext             Rule = "confext"              // the release knows no configuration extensions
	ImageName           Rule = "image-name"           // systemd does not find images of that name
	HostMisfit          Rule = "host"                 // it is not for the host
	Outside             Rule = "outside-hierarchies"  // files that are never merged
	Nothing             Rule = "nothing-to-merge"     // nothing in the hierarchies
	Unsupported         Rule = "unsupported"          // not looked at
)

// Brief says in a few words what is wrong, for the rules that keep an image
// from being merged as it should be; "" for all others.
func (r Rule) Brief() string { return briefs()[r] }

func briefs() map[Rule]string {
	return map[Rule]string{
		TableBroken:        "the partition table is broken",
		TableIgnored:       "the protective MBR hides the partition table",
		TableSectorSize:    "it knows sectors of 512 bytes only",
		TableSectors:       "nothing tells the sector size",
		PartitionMissing:   "there is no root and no usr partition to use",
		PartitionGeneric:   "several partitions could be the root",
		PartitionAlone:     "a partition lacks the one that it is for",
		PartitionMixed:     "root and usr partition do not go together",
		PolicyBroken:       "the image policy does not allow it",
		PolicyWord:         "it does not know the words of the image policy",
		SidecarWithTable:   "a hash tree lies beside a partition table",
		SidecarBroken:      "a file beside the image does not fit",
		TreeUnused:         "it does not use the hash tree",
		TreeSuperblock:     "the hash tree cannot be read",
		TreeBlockSize:      "Linux does not take the block size",
		TreeSize:           "the data is shorter than the hash tree says",
		TreeRoot:           "the root hash does not match",
		TreeBlock:          "blocks do not match the hash tree",
		SignatureBroken:    "the signature partition cannot be read",
		SignaturePKCS7:     "the signature cannot be read",
		SignatureUntrusted: "no trusted certificate vouches for it",
		SignatureIgnored:   "it does not look at the signature",
		FileSystemUnknown:  "there is no file system that is known",
		FileSystemBroken:   "the file system is broken",
		ReleaseMissing:     "there is no extension-release file",
		ReleaseName:        "no extension-release file fits its name",
		ReleaseCutName:     "no extension-release file fits its name",
		ReleaseAmbiguous:   "several extension-release files fit its name",
		ReleaseContent:     "its extension-release fits no host",
		OSRelease:          "it has /usr/lib/os-release",
		Confext:            "it knows no configuration extensions",
		HostMisfit:         "it is not for the host",
	}
}

// late reports whether a release that reads the metadata of an image without
// dm-verity, which are those up to 255, meets the rule only when it merges, in
// a process of its own.
func (r Rule) late() bool {
	switch r {
	case PartitionAlone, PolicyBroken, SidecarWithTable, SidecarBroken,
		TreeSuperblock, TreeBlockSize, TreeSize, TreeRoot,
		SignatureBroken, SignaturePKCS7, SignatureUntrusted:
		return true
	}
	return false
}

func (r Rule) early() bool { return !r.late() }
