package config

import (
	"time"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/format/gpt"
	"sextant/internal/ini"
)

// Dialect is the version of mkosi whose configuration files are understood.
// MinimumVersion= is compared with it.
const Dialect = "27.1"

// Config is the configuration in force. Paths are absolute.
type Config struct {
	Dir string // holds mkosi.conf

	Format          extension.Class
	ManifestFormats []ManifestFormat
	Output          string // name of the image without extension
	OutputExtension string
	OutputDirectory string
	CompressOutput  Compression
	CompressLevel   int
	ImageID         string // may be empty
	ImageVersion    string // may be empty
	SplitArtifacts  []Artifact
	SectorSize      int // bytes; 0 if not set, which is not the same as 512
	Seed            Seed

	// Definitions are the directories that hold the partition definitions,
	// the first one winning where a file name appears twice. Empty means the
	// built-in definitions.
	Definitions []string

	ExtraTrees      []Tree
	RemoveFiles     []string // globs
	SourceDateEpoch time.Time

	Verity                  Verity // as written; see VerityInForce
	VerityKey               string
	VerityKeySource         string
	VerityCertificate       string
	VerityCertificateSource string
	Checksum                bool

	// Environment holds the variables of EnvironmentFiles= and Environment=.
	Environment map[string]string

	Distribution   string
	Release        string
	Architecture   dps.Architecture
	MinimumVersion string

	Signer               string // command; empty if none
	PreserveOwner        bool
	PreserveXattrs       Xattrs
	KeepEmptyDirectories bool

	Warnings []*ini.Fault

	formatName string
	includes   []string
	repartDirs []string
	envFiles   []string
	variables  []variable
	reports    []Report
	name       func(path string) string
}

// PathName returns how messages call a path: relative to the working directory
// if it is below it.
func (c *Config) PathName(path string) string { return c.name(path) }

// VerityInForce returns what Verity= comes to: auto is signed where a
// certificate and a key or a signer are there, and else disabled.
func (c *Config) VerityInForce() Verity {
	if c.Verity != VerityAuto {
		return c.Verity
	}
	if c.VerityCertificate != "" && (c.VerityKey != "" || c.Signer != "") {
		return VeritySigned
	}
	return VerityDisabled
}

// Origin returns where the setting called name ("ImageId") got its value; for
// a list, where its last part comes from.
func (c *Config) Origin(name string) Origin {
	for _, r := range c.reports {
		if r.Name == name && len(r.Values) > 0 {
			return r.Values[len(r.Values)-1].From
		}
	}
	return Origin{}
}

// Verity is a value of Verity=.
type Verity string

// The values of Verity=. Booleans stand for signed and disabled.
const (
	VeritySigned   Verity = "signed"   // hash tree and signature
	VerityHash     Verity = "hash"     // hash tree only
	VerityDefer    Verity = "defer"    // hash tree, and room for a signature
	VerityDisabled Verity = "disabled" // data partition only
	VerityAuto     Verity = "auto"     // signed if there is a key, else disabled
)

// Compression is a value of CompressOutput=: how the finished image is packed.
type Compression string

// The compressions that can be written.
const (
	CompressNone Compression = "none"
	CompressZstd Compression = "zstd"
	CompressXz   Compression = "xz"
	CompressGz   Compression = "gz"
)

// Extension returns what the compression adds to a file name: ".zst", or
// nothing for CompressNone.
func (c Compression) Extension() string {
	switch c {
	case CompressNone, "":
		return ""
	case CompressZstd:
		return ".zst"
	}
	return "." + string(c)
}

// Artifact is a value of SplitArtifacts=: a file to write beside the image.
type Artifact string

// The artifacts that an extension image has.
const (
	ArtifactRoothash   Artifact = "roothash"   // OUTPUT.roothash
	ArtifactPartitions Artifact = "partitions" // OUTPUT.root-x86-64.raw ...
)

// ManifestFormat is a value of ManifestFormat=.
type ManifestFormat string

// ManifestJSON is the one manifest format there is.
const ManifestJSON ManifestFormat = "json"

// Xattrs says which extended attributes of files on this machine are kept.
type Xattrs string

// The values of PreserveXattrs=.
const (
	XattrsPortable Xattrs = "portable" // security.capability, user.* and POSIX ACLs
	XattrsAll      Xattrs = "all"      // every one, labels of this machine included
)

// Tree is a value of ExtraTrees=: a directory, a file or an archive to put
// into the image.
type Tree struct {
	Source string
	Target string // absolute path in the image; empty if none was written
}

// String returns the tree as it is written: "source:target".
func (t Tree) String() string {
	if t.Target == "" {
		return t.Source
	}
	return t.Source + ":" + t.Target
}

// Seed is a value of Seed=. The zero Seed means that none was given.
type Seed struct {
	Given  bool
	Random bool // draw one; UUID is zero then
	UUID   gpt.GUID
}

// String returns "random", the UUID, or how the seed comes about otherwise.
func (s Seed) String() string {
	switch {
	case s.Random:
		return "random"
	case !s.Given:
		return "derived from Format= and ImageId="
	}
	return s.UUID.String()
}

// variable is one assignment in Environment=.
type variable struct{ name, value string }

// String returns "NAME=value".
func (v variable) String() string { return v.name + "=" + v.value }

// OriginKind is a kind of place that a value can come from.
type OriginKind int

// The kinds of Origin.
const (
	FromDefault     OriginKind = iota
	FromHost                   // what this machine is
	FromEnvironment            // a variable of our own environment
	FromFile                   // a line of a configuration file
	FromCompanion              // a file like mkosi.version
	FromFlag                   // the command line
)

// Origin says where a value comes from.
type Origin struct {
	Kind OriginKind
	At   ini.Position // for FromFile and FromCompanion
	Name string       // the flag ("--image-id") or the variable, without "$"
}

// String returns the place as a user would write it: "mkosi.conf:3",
// "--image-id", "$SOURCE_DATE_EPOCH", "default".
func (o Origin) String() string {
	switch o.Kind {
	case FromFile, FromCompanion:
		return o.At.String()
	case FromFlag:
		return o.Name
	case FromEnvironment:
		return "$" + o.Name
	case FromHost:
		return "this machine"
	}
	return "default"
}
