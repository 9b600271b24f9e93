package config

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"sextant/internal/extension"
	"sextant/internal/format/gpt"
	"sextant/internal/spelling"
	"sextant/internal/version"
)

// boolean reads a boolean as mkosi does.
func boolean(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "1", "true", "yes", "y", "t", "on", "always":
		return true, nil
	case "0", "false", "no", "n", "f", "off", "never":
		return false, nil
	}
	return false, complain("write yes or no", "not a boolean")
}

func parseBool(_ *place, text string) (yesNo, error) {
	b, err := boolean(text)
	return yesNo(b), err
}

// yesNo is a boolean that prints as one writes it.
type yesNo bool

func (b yesNo) String() string {
	if b {
		return "yes"
	}
	return "no"
}

// flag makes a setting that is a boolean.
func flag(field func(*Config) *bool) kind {
	k := one(parseBool, func(*Config) *yesNo { return new(yesNo) })
	k.store = func(c *Config, items []item) {
		for _, i := range items {
			*field(c) = bool(i.value.(yesNo))
		}
	}
	return k
}

func parseText(_ *place, text string) (string, error) { return text, nil }

// parseOne makes a parser that takes the choices only.
func parseOne[T ~string](choices ...T) func(*place, string) (T, error) {
	return func(_ *place, text string) (T, error) {
		if slices.Contains(choices, T(text)) {
			return T(text), nil
		}
		return "", notOneOf(text, choices)
	}
}

// notOneOf is the complaint about a value outside of a list.
func notOneOf[T ~string](text string, choices []T) error {
	names := make([]string, len(choices))
	for i, c := range choices {
		names[i] = string(c)
	}
	help := ""
	if near := spelling.Nearest(text, names); near != "" {
		help = "did you mean " + near + "?"
	}
	return complain(help, "not one of %s", strings.Join(names, ", "))
}

// parseFormat takes every format of mkosi, so that [Match] and the command
// line can speak of all; finish says which ones can be built.
func parseFormat(_ *place, text string) (string, error) {
	if slices.Contains(formats(), text) {
		return text, nil
	}
	return "", notOneOf(text, []string{"sysext", "confext"})
}

// formats are the values of Format= in mkosi 27.
func formats() []string {
	return []string{"confext", "cpio", "directory", "disk", "esp", "none", "portable", "sysext", "tar", "uki", "oci", "addon"}
}

func parseVerity(p *place, text string) (Verity, error) {
	choices := []Verity{VeritySigned, VerityHash, VerityDefer, VerityAuto, VerityDisabled}
	if b, err := boolean(text); err == nil {
		if b {
			return VeritySigned, nil
		}
		return VerityDisabled, nil
	}
	if slices.Contains(choices, Verity(text)) {
		return Verity(text), nil
	}
	return "", notOneOf(text, append(choices, "yes", "no"))
}

func parseCompression(_ *place, text string) (Compression, error) {
	switch text {
	case "none", "zstd", "xz", "gz":
		return Compression(text), nil
	case "zst":
		return CompressZstd, nil
	case "gzip":
		return CompressGz, nil
	case "bz2", "lz4", "lzma":
		return "", complain("take zstd, xz or gz", "sextant does not write %s", text)
	}
	b, err := boolean(text)
	if err != nil {
		return "", notOneOf(text, []string{"none", "zstd", "xz", "gz", "yes", "no"})
	}
	if b {
		return CompressZstd, nil
	}
	return CompressNone, nil
}

func parseLevel(_ *place, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, complain("", "not a number from 0 up")
	}
	return n, nil
}

func parseSectorSize(_ *place, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 512 || n > 4096 || n&(n-1) != 0 {
		return 0, complain("", "not one of 512, 1024, 2048, 4096")
	}
	return n, nil
}

// parseSeed reads a UUID in every way that mkosi (Python's uuid.UUID) does:
// with or without hyphens, in braces, after "urn:uuid:".
func parseSeed(_ *place, text string) (Seed, error) {
	if text == "random" {
		return Seed{Given: true, Random: true}, nil
	}
	digits := strings.NewReplacer("urn:", "", "uuid:", "").Replace(text)
	digits = strings.ReplaceAll(strings.Trim(digits, "{}"), "-", "")
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != 16 {
		return Seed{}, complain("write 32 hexadecimal digits as uuidgen prints them", "neither a UUID nor \"random\"")
	}
	return Seed{Given: true, UUID: gpt.GUID(raw)}, nil
}

func parseEpoch(_ *place, text string) (epoch, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	// The inodes of erofs and the times of tar hold more, but year 9999 is
	// as far as RFC 3339 can print.
	if err != nil || n < 0 || n > 253402300799 {
		return epoch{}, complain("", "not a number of seconds since 1970")
	}
	return epoch{time.Unix(n, 0).UTC()}, nil
}

// epoch is a time that prints as SourceDateEpoch= takes it.
type epoch struct{ time.Time }

func (e epoch) String() string { return strconv.FormatInt(e.Unix(), 10) }

// parseImageName reads a name that becomes part of file names and of the
// extension-release file.
func parseImageName(_ *place, text string) (string, error) {
	if err := extension.CheckName(text); err != nil {
		return "", err
	}
	return text, nil
}

// parseFileName reads the name of a file without directories.
func parseFileName(_ *place, text string) (string, error) {
	if text == "." || text == ".." || strings.ContainsAny(text, "/\x00") {
		return "", complain("OutputDirectory= says where it goes", "not a file name without directories")
	}
	if len(text) > 255 {
		return "", complain("", "longer than the 255 bytes that Linux allows")
	}
	return text, nil
}

func parseArtifact(_ *place, text string) (Artifact, error) {
	switch text {
	case "roothash", "partitions":
		return Artifact(text), nil
	case "uki", "kernel", "initrd", "tar", "pcrs", "os-release", "kernel-modules-initrd", "repart-definitions":
		return "", complain("take roothash or partitions", "sextant does not write it")
	}
	return "", notOneOf(text, []string{"roothash", "partitions"})
}

// artifacts makes the setting SplitArtifacts=, where a boolean replaces the
// list: no stands for nothing that an extension has, yes for its partitions.
func artifacts(field func(*Config) *[]Artifact) kind {
	k := list(words, parseArtifact, field)
	k.split = func(text string) ([]string, error) {
		switch b, err := boolean(text); {
		case err != nil:
			return words(text)
		case b:
			return []string{"partitions"}, nil
		}
		return nil, nil
	}
	return k
}

func parseManifest(_ *place, text string) (ManifestFormat, error) {
	switch text {
	case "json":
		return ManifestJSON, nil
	case "changelog":
		return "", complain("take json", "sextant knows no packages, so it writes no changelog")
	}
	return "", notOneOf(text, []string{"json"})
}

// parseSource reads VerityKeySource= and VerityCertificateSource=.
func parseSource(_ *place, text string) (string, error) {
	switch kind, _, _ := strings.Cut(text, ":"); kind {
	case "file":
		return "file", nil
	case "engine", "provider":
		return "", complain("--signer 'COMMAND' signs with any program that holds the key, as pkcs11-tool does",
			"sextant loads no OpenSSL %ss", kind)
	}
	return "", notOneOf(text, []string{"file"})
}

func parseMinimumVersion(_ *place, text string) (string, error) {
	if strings.HasPrefix(text, "commit:") {
		return "", complain("name a release, like MinimumVersion="+Dialect, "sextant is no checkout of mkosi")
	}
	if version.Compare(text, Dialect) > 0 {
		return "", complain("", "sextant speaks the dialect of mkosi %s", Dialect)
	}
	return text, nil
}

// highest makes the setting MinimumVersion=, of which the highest counts.
func highest(field func(*Config) *string) kind {
	k := one(parseMinimumVersion, field)
	k.split = func(text string) ([]string, error) { return []string{text}, nil }
	k.reduce = func(items []item) []item {
		var best []item
		for _, i := range items {
			if len(best) == 0 || version.Compare(i.text, best[0].text) > 0 {
				best = []item{i}
			}
		}
		return best
	}
	return k
}

// variables makes the setting Environment=, where a name counts once.
func variables(field func(*Config) *[]variable) kind {
	k := list(shellWords, parseVariable, field)
	k.reduce = func(items []item) []item {
		var list []item
		place := map[string]int{}
		for _, i := range items {
			name := i.value.(variable).name
			if n, ok := place[name]; ok {
				list[n] = i
				continue
			}
			place[name] = len(list)
			list = append(list, i)
		}
		return list
	}
	return k
}

// parseTree reads "source" or "source:target". Whether the source exists is
// not checked.
func parseTree(p *place, text string) (Tree, error) {
	source, target, hasTarget := strings.Cut(text, ":")
	path, err := p.path(source)
	if err != nil || !hasTarget {
		return Tree{Source: path}, err
	}
	target = p.expand(target)
	if !strings.HasPrefix(target, "/") {
		return Tree{}, complain("start the part after the colon with /", "target %q is not absolute", target)
	}
	names := strings.FieldsFunc(target, func(r rune) bool { return r == '/' })
	if slices.Contains(names, "..") {
		return Tree{}, complain("", "target %q climbs with ..", target)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "." })
	return Tree{path, "/" + strings.Join(names, "/")}, nil
}

// parseExisting reads the path of something that must exist.
func parseExisting(p *place, text string) (string, error) {
	path, err := p.path(text)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", complain("relative paths start at "+p.dir, "%v", cause(err))
	}
	return path, nil
}

// parseKey reads the path of a private key and warns if everybody can read it.
func parseKey(p *place, text string) (string, error) {
	path, err := p.path(text)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o007 != 0 {
		p.warn("chmod 600 "+path, "the private key %s has mode %04o: everybody on this machine can use it", path, info.Mode().Perm())
	}
	return path, nil
}

func parsePath(p *place, text string) (string, error) { return p.path(text) }

// parseVariable reads "NAME=value", or "NAME" for a variable to take over from
// our own environment.
func parseVariable(p *place, text string) (variable, error) {
	name, value, given := strings.Cut(text, "=")
	v := variable{strings.TrimSpace(name), strings.TrimSpace(value)}
	if !given {
		v.value = p.environ[v.name]
	}
	if v.name == "" {
		return v, complain("", "a variable without a name")
	}
	if strings.HasPrefix(v.name, "SYSTEMD_REPART_") {
		return v, complain("partitions are described in sysext.repart.d/", "sextant does not run systemd-repart, so %s has no effect", v.name)
	}
	return v, nil
}

// words cuts a text at commas and white space.
func words(text string) ([]string, error) {
	return strings.Fields(strings.ReplaceAll(text, ",", " ")), nil
}

// shellWords cuts a text at spaces and newlines, and takes away quotes and
// backslashes as a shell does (Python's shlex).
func shellWords(text string) ([]string, error) {
	var (
		list  []string
		word  strings.Builder
		quote rune
		slash bool
	)
	flush := func() {
		if word.Len() > 0 {
			list = append(list, word.String())
		}
		word.Reset()
	}
	for _, r := range text {
		switch {
		case slash:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			slash = false
		case r == '\\' && quote != '\'':
			slash = true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote = r
		case r == ' ' || r == '\n':
			flush()
		default:
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, complain("", "the quote %c does not end", quote)
	}
	if slash {
		return nil, complain("", "nothing follows the last backslash")
	}
	flush()
	return list, nil
}

// cause returns a file error without operation and path.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
