package config

import (
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/dps"
)

// Settings returns every setting: those that work, with their sections in the
// order of mkosi(1), then those that mkosi 27.1 knows and sextant does not act
// on.
func Settings() []Setting {
	return slices.Concat(
		includeSettings(), outputSettings(), contentSettings(), validationSettings(), buildSettings(),
		distributionSettings(), ownSettings(), idleSettings(), refusedSettings(),
	)
}

// always makes a default that does not depend on anything.
func always(text string) func(*loader) (string, Origin) {
	return func(*loader) (string, Origin) { return text, Origin{} }
}

func includeSettings() []Setting {
	return []Setting{{
		Section: "Include", Name: "Include", Flag: "--include", Flags: []string{"-I"}, Arg: "PATH", List: true,
		Help: "read this configuration file or directory too",
		kind: list(words, parseInclude, func(c *Config) *[]string { return &c.includes }),
		keep: true,
	}, {
		Section: "Config", Name: "MinimumVersion", Flag: "--minimum-version", Arg: "VERSION",
		Help: "the mkosi version that the configuration needs",
		kind: highest(func(c *Config) *string { return &c.MinimumVersion }),
		keep: true, optional: true,
	}}
}

// parseInclude reads Include=. The configurations that mkosi carries with it
// are not there.
func parseInclude(p *place, text string) (string, error) {
	switch text {
	case "mkosi-tools", "mkosi-initrd", "mkosi-vm", "mkosi-addon", "mkosi-obs":
		return "", complain("write ./"+text+" for a file of that name", "a configuration that comes with mkosi, not with sextant")
	}
	return parseExisting(p, text)
}

func outputSettings() []Setting {
	return []Setting{{
		Section: "Output", Name: "Format", Flag: "--format", Flags: []string{"-t"}, Arg: "FORMAT",
		Choices: []string{"sysext", "confext"}, Help: "what to build",
		kind:     one(parseFormat, func(c *Config) *string { return &c.formatName }),
		fallback: always("disk"), // what mkosi takes, for [Match]; finish refuses it
	}, {
		Section: "Output", Name: "ImageId", Flag: "--image-id", Arg: "ID",
		Help:     "name of the extension, and of its release file",
		kind:     one(parseImageName, func(c *Config) *string { return &c.ImageID }),
		optional: true,
	}, {
		Section: "Output", Name: "ImageVersion", Flag: "--image-version", Arg: "VERSION",
		Help:       "version of the extension, part of the file name",
		Companions: []string{"mkosi.version"}, read: true,
		kind:     one(parseImageName, func(c *Config) *string { return &c.ImageVersion }),
		optional: true,
	}, {
		Section: "Output", Name: "Output", Flag: "--output", Flags: []string{"-o"}, Arg: "NAME",
		Help:     "name of the image file without extension; by default ImageId_ImageVersion",
		kind:     one(parseFileName, func(c *Config) *string { return &c.Output }),
		fallback: defaultOutput,
	}, {
		Section: "Output", Name: "OutputExtension", Flag: "--output-extension", Arg: "EXTENSION",
		Help:     "extension of the image file",
		kind:     one(parseFileName, func(c *Config) *string { return &c.OutputExtension }),
		fallback: always("raw"),
	}, {
		Section: "Output", Name: "OutputDirectory", Flag: "--output-directory", Flags: []string{"-O", "--output-dir"}, Arg: "DIR",
		Help:       "where the image goes; by default mkosi.output/ if it exists, or the working directory",
		Companions: []string{"mkosi.output"},
		kind:       one(parsePath, func(c *Config) *string { return &c.OutputDirectory }),
		optional:   true,
	}, {
		Section: "Output", Name: "Seed", Flag: "--seed", Arg: "UUID",
		Help:       "what the ids of the image are derived from: a UUID or random; by default Format and ImageId",
		Companions: []string{"mkosi.seed"}, read: true,
		Unset: "derived from Format= and ImageId=",
		kind:  one(parseSeed, func(c *Config) *Seed { return &c.Seed }),
	}, {
		Section: "Output", Name: "SectorSize", Flag: "--sector-size", Arg: "BYTES",
		Choices: []string{"512", "1024", "2048", "4096"}, Help: "sector size of the image",
		Unset:    "512, verity in blocks of 4096",
		kind:     one(parseSectorSize, func(c *Config) *int { return &c.SectorSize }),
		optional: true,
	}, {
		Section: "Output", Name: "SplitArtifacts", Flag: "--split-artifacts", Arg: "LIST", List: true,
		Choices: []string{"roothash", "partitions"}, Help: "files to write beside the image",
		kind: artifacts(func(c *Config) *[]Artifact { return &c.SplitArtifacts }),
	}, {
		Section: "Output", Name: "ManifestFormat", Flag: "--manifest-format", Arg: "FORMAT", List: true,
		Choices: []string{"json"}, Help: "write a manifest",
		kind: list(words, parseManifest, func(c *Config) *[]ManifestFormat { return &c.ManifestFormats }),
	}, {
		Section: "Output", Name: "CompressOutput", Flag: "--compress-output", Arg: "ALGORITHM",
		Choices: []string{"none", "zstd", "xz", "gz"}, Help: "compress the whole image",
		kind:     one(parseCompression, func(c *Config) *Compression { return &c.CompressOutput }),
		fallback: always("none"),
	}, {
		Section: "Output", Name: "CompressLevel", Flag: "--compress-level", Arg: "LEVEL",
		Help:     "how hard to compress",
		kind:     one(parseLevel, func(c *Config) *int { return &c.CompressLevel }),
		fallback: always("3"),
	}, {
		Section: "Output", Name: "RepartDirectories", Flag: "--repart-directory", Flags: []string{"--repart-dir"}, Arg: "DIR", List: true,
		Help:       "partition definitions instead of the built-in ones; by default sysext.repart.d/ if it exists",
		Companions: []string{"mkosi.repart"},
		Unset:      "built-in definitions",
		kind:       list(words, parseExisting, func(c *Config) *[]string { return &c.repartDirs }),
	}}
}

// defaultOutput makes the name of the image of ImageId= and ImageVersion=.
func defaultOutput(l *loader) (string, Origin) {
	name, err := l.value("ImageId")
	if err != nil || name == "" {
		name = "image"
	}
	if version, err := l.value("ImageVersion"); err == nil && version != "" {
		name += "_" + version
	}
	return name, Origin{}
}

func contentSettings() []Setting {
	return []Setting{{
		Section: "Content", Name: "ExtraTrees", Flag: "--extra-tree", Arg: "SOURCE[:TARGET]", List: true,
		Help:       "a directory, file or archive to put into the image",
		Companions: []string{"mkosi.extra", "mkosi.extra.tar"},
		kind:       list(words, parseTree, func(c *Config) *[]Tree { return &c.ExtraTrees }),
	}, {
		Section: "Content", Name: "RemoveFiles", Flag: "--remove-files", Arg: "GLOB", List: true,
		Help: "files to leave out of the image",
		kind: list(words, parseText, func(c *Config) *[]string { return &c.RemoveFiles }),
	}, {
		Section: "Content", Name: "SourceDateEpoch", Flag: "--source-date-epoch", Arg: "SECONDS",
		Help:     "no file in the image is newer; by default $SOURCE_DATE_EPOCH, or the start of 1980",
		kind:     epochSetting(),
		fallback: defaultEpoch,
	}}
}

func epochSetting() kind {
	k := one(parseEpoch, func(*Config) *epoch { return new(epoch) })
	k.store = func(c *Config, items []item) {
		for _, i := range items {
			c.SourceDateEpoch = i.value.(epoch).Time
		}
	}
	return k
}

// defaultEpoch looks for SOURCE_DATE_EPOCH in Environment=, then in our own
// environment. The last resort is 1980-01-01 00:00:00 UTC, the first time that
// every file system and archive can hold.
func defaultEpoch(l *loader) (string, Origin) {
	items, err := l.values(l.byName["Environment"])
	for _, i := range slices.Backward(items) {
		if v := i.value.(variable); err == nil && v.name == "SOURCE_DATE_EPOCH" && v.value != "" {
			return v.value, i.from
		}
	}
	if text := l.src.Environ["SOURCE_DATE_EPOCH"]; text != "" {
		return text, Origin{Kind: FromEnvironment, Name: "SOURCE_DATE_EPOCH"}
	}
	return "315532800", Origin{}
}

func validationSettings() []Setting {
	return []Setting{{
		Section: "Validation", Name: "Verity", Flag: "--verity", Arg: "KIND",
		Choices: []string{"signed", "hash", "defer", "auto", "disabled"}, Help: "how the content is protected; yes is signed, no is disabled",
		kind:     one(parseVerity, func(c *Config) *Verity { return &c.Verity }),
		fallback: always("auto"),
	}, {
		Section: "Validation", Name: "VerityKey", Flag: "--verity-key", Arg: "PATH",
		Help:       "private key to sign with",
		Companions: []string{"mkosi.key"},
		kind:       one(parseKey, func(c *Config) *string { return &c.VerityKey }),
		optional:   true,
	}, {
		Section: "Validation", Name: "VerityKeySource", Flag: "--verity-key-source", Arg: "SOURCE",
		Choices: []string{"file"}, Help: "where VerityKey= is",
		kind:     one(parseSource, func(c *Config) *string { return &c.VerityKeySource }),
		fallback: always("file"),
	}, {
		Section: "Validation", Name: "VerityCertificate", Flag: "--verity-certificate", Arg: "PATH",
		Help:       "X.509 certificate of the key",
		Companions: []string{"mkosi.crt"},
		kind:       one(parsePath, func(c *Config) *string { return &c.VerityCertificate }),
		optional:   true,
	}, {
		Section: "Validation", Name: "VerityCertificateSource", Flag: "--verity-certificate-source", Arg: "SOURCE",
		Choices: []string{"file"}, Help: "where VerityCertificate= is",
		kind:     one(parseSource, func(c *Config) *string { return &c.VerityCertificateSource }),
		fallback: always("file"),
	}, {
		Section: "Validation", Name: "Checksum", Flag: "--checksum", Arg: "BOOL", Switch: true,
		Help:     "write a file with SHA-256 sums",
		kind:     flag(func(c *Config) *bool { return &c.Checksum }),
		fallback: always("no"),
	}}
}

func buildSettings() []Setting {
	return []Setting{{
		Section: "Build", Name: "Environment", Flag: "--environment", Flags: []string{"-E"}, Arg: "NAME[=VALUE]", List: true,
		Help: "variables: SYSEXT_SCOPE, CONFEXT_SCOPE and SOURCE_DATE_EPOCH count, [Match] sees all",
		kind: variables(func(c *Config) *[]variable { return &c.variables }),
	}, {
		Section: "Build", Name: "EnvironmentFiles", Flag: "--env-file", Arg: "PATH", List: true,
		Help:       "files with variables, one NAME=value in a line",
		Companions: []string{"mkosi.env"},
		kind:       list(words, parseExisting, func(c *Config) *[]string { return &c.envFiles }),
	}}
}

func distributionSettings() []Setting {
	return []Setting{{
		Section: "Distribution", Name: "Distribution", Flag: "--distribution", Flags: []string{"-d"}, Arg: "NAME",
		Help:     "for the manifest, [Match] and specifiers; by default this machine's",
		kind:     one(parseDistribution, func(c *Config) *string { return &c.Distribution }),
		fallback: defaultDistribution,
	}, {
		Section: "Distribution", Name: "Release", Flag: "--release", Flags: []string{"-r"}, Arg: "RELEASE",
		Help:     "for the manifest, [Match] and specifiers",
		kind:     one(parseText, func(c *Config) *string { return &c.Release }),
		fallback: defaultRelease,
	}, {
		Section: "Distribution", Name: "Architecture", Flag: "--architecture", Arg: "NAME",
		Help:     "architecture that the extension is for, by systemd's name; by default this machine's",
		kind:     one(parseArchitecture, func(c *Config) *dps.Architecture { return &c.Architecture }),
		fallback: defaultArchitecture,
	}}
}

func defaultDistribution(l *loader) (string, Origin) {
	if _, known := distributions()[l.src.Host.Distribution]; known {
		return l.src.Host.Distribution, Origin{Kind: FromHost}
	}
	return "custom", Origin{}
}

func defaultRelease(l *loader) (string, Origin) {
	name, err := l.value("Distribution")
	if host := l.src.Host; err == nil && name == host.Distribution && host.Release != "" {
		return host.Release, Origin{Kind: FromHost}
	}
	return distributions()[name].release, Origin{}
}

func defaultArchitecture(l *loader) (string, Origin) {
	if a := l.src.Host.Architecture; a != "" {
		return string(a), Origin{Kind: FromHost}
	}
	return string(dps.Native()), Origin{Kind: FromHost}
}

// ownSettings are those that mkosi does not have.
func ownSettings() []Setting {
	return []Setting{{
		Section: ours, Name: "PreserveOwner", Flag: "--preserve-owner", Arg: "BOOL", Switch: true,
		Help:     "keep the owners of files instead of giving all to root",
		kind:     flag(func(c *Config) *bool { return &c.PreserveOwner }),
		fallback: always("no"),
	}, {
		Section: ours, Name: "PreserveXattrs", Flag: "--preserve-xattrs", Arg: "WHICH",
		Choices: []string{"portable", "all"}, Help: "extended attributes to take from this machine: capabilities, user.* and ACLs, or all",
		kind:     one(parseOne(XattrsPortable, XattrsAll), func(c *Config) *Xattrs { return &c.PreserveXattrs }),
		fallback: always("portable"),
	}, {
		Section: ours, Name: "KeepEmptyDirectories", Flag: "--keep-empty-directories", Arg: "BOOL", Switch: true,
		Help:     "keep directories without anything in them",
		kind:     flag(func(c *Config) *bool { return &c.KeepEmptyDirectories }),
		fallback: always("no"),
	}, {
		// A command is taken from the user only, not from a file.
		Name: "Signer", Flag: "--signer", Arg: "COMMAND",
		Help:     "program that signs instead of VerityKey=",
		kind:     one(parseText, func(c *Config) *string { return &c.Signer }),
		optional: true,
	}}
}

// find returns the companions of a setting that exist in dir.
func (s *Setting) find(dir string) ([]string, error) {
	var list []string
	for _, name := range s.Companions {
		path := filepath.Join(dir, name)
		if !strings.Contains(name, "*") {
			if exists(path) {
				list = append(list, path)
			}
			continue
		}
		found, err := filepath.Glob(filepath.Join(escapeGlob(dir), name))
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// escapeGlob makes a path a pattern that fits nothing but the path.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
