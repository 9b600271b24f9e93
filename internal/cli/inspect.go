package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"sextant/internal/image"
	"sextant/internal/inspect"
)

const inspectHelp = `Tell what an image is: partitions, file systems, protection, signature, release
files, and what systemd would use it as. Nothing is checked; that is what
sextant verify does. IMAGE can also be a directory.

--json has the names of systemd-dissect --json where that has them.`

type inspectFlags struct {
	files, bytes, json bool
}

func newInspect(env Env) *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect IMAGE",
		Short: "Tell what an image is",
		Long:  inspectHelp,
		Args:  operands(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return couldNotLook(f.run(env, args[0]), "inspect %s", args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.files, "files", false, "count the files too")
	flags.BoolVar(&f.bytes, "bytes", false, "print the bytes of all structures with what they mean")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	cmd.MarkFlagsMutuallyExclusive("bytes", "json")
	return cmd
}

func (f inspectFlags) run(env Env, path string) error {
	m, err := image.Open(env.path(path))
	if err != nil {
		return err
	}
	defer m.Close()
	if f.bytes {
		out := bufio.NewWriter(env.Stdout)
		if err := inspect.Bytes(out, m); err != nil {
			return err
		}
		return out.Flush()
	}
	i, err := inspect.Image(m, f.files)
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(env.Stdout, i)
	}
	return printInspection(env.Stdout, i)
}

// rows are lines of a name and a value, printed in two columns.
type rows [][2]string

func (r *rows) add(name, format string, args ...any) {
	*r = append(*r, [2]string{name, fmt.Sprintf(format, args...)})
}

// addText adds a row unless it would be empty.
func (r *rows) addText(name, value string) {
	if value != "" {
		r.add(name, "%s", printable(value))
	}
}

// addList adds a list, its name once.
func (r *rows) addList(name string, list []string) {
	for _, text := range list {
		r.add(name, "%s", printable(text))
		name = ""
	}
}

func (r rows) print(w io.Writer, title string) error {
	if len(r) == 0 {
		return nil
	}
	if title != "" {
		if _, err := fmt.Fprintf(w, "\n%s\n", title); err != nil {
			return err
		}
	}
	for _, row := range r {
		if _, err := fmt.Fprintf(w, "  %-14s %s\n", row[0], row[1]); err != nil {
			return err
		}
	}
	return nil
}

// mapWidth fits into a terminal of 80 columns.
const mapWidth = 76

// printInspection prints everything there is to say, part by part.
func printInspection(w io.Writer, i *inspect.Inspection) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, printable(i.Name))
	if err := imageRows(i).print(out, ""); err != nil {
		return err
	}
	printDisk(out, i)
	for _, v := range i.Volumes {
		if err := printVolume(out, v); err != nil {
			return err
		}
	}
	if i.Beside != nil {
		if err := besideRows(i.Beside).print(out, "beside the image (not checked)"); err != nil {
			return err
		}
	}
	if err := metadataRows(i).print(out, "release files"); err != nil {
		return err
	}
	if err := useRows(i.Uses).print(out, "use as"); err != nil {
		return err
	}
	if i.Files != nil {
		if err := printFiles(out, i.Files); err != nil {
			return err
		}
	}
	return out.Flush()
}

func imageRows(i *inspect.Inspection) rows {
	var r rows
	r.add("kind", "%s", i.Kind)
	if i.Kind != "directory" {
		r.add("size", "%s (%d bytes), sectors of %d", bytesText(i.Size), i.Size, i.SectorSize)
	}
	r.addText("architecture", i.Architecture)
	r.addText("disk UUID", i.ImageUUID)
	r.addList("problems", i.Problems)
	return r
}

// printDisk draws the disk and lists its partitions.
func printDisk(w io.Writer, i *inspect.Inspection) {
	drawn := i.Map(mapWidth)
	if drawn == "" {
		return
	}
	fmt.Fprintf(w, "\n%s%3s  %12s  %7s  %s\n", drawn, "", "offset", "size", "type, UUID, label")
	for _, p := range i.Partitions {
		fmt.Fprintf(w, "%3d  %12d  %7s  %s\n", p.Number, p.Offset, bytesText(p.Size), p.Type)
		fmt.Fprintf(w, "%27s  %s  %s\n", "", p.UUID, partitionNote(p))
	}
}

func partitionNote(p inspect.Part) string {
	note := printable(p.Label)
	if p.Attributes != "" && p.Attributes != "0" {
		note += "  (" + p.Attributes + ")"
	}
	return note
}

func printVolume(w io.Writer, v inspect.Volume) error {
	if err := fileSystemRows(v.FileSystem).print(w, "file system of "+v.Role); err != nil {
		return err
	}
	if v.Verity != nil {
		if err := verityRows(v.Verity).print(w, "dm-verity of "+v.Role); err != nil {
			return err
		}
	}
	if v.Signature == nil {
		return nil
	}
	return signatureRows(v.Signature).print(w, "signature of "+v.Role+" (not checked)")
}

func fileSystemRows(f inspect.FileSystem) rows {
	var r rows
	r.addText("type", string(f.Kind))
	r.addText("problem", f.Problem)
	if f.Problem != "" {
		return r
	}
	r.add("size", "%s (%d bytes), blocks of %d", bytesText(f.Size), f.Size, f.BlockSize)
	if f.Inodes > 0 { // FAT has none
		r.add("inodes", "%d", f.Inodes)
	}
	r.addText("UUID", f.UUID)
	r.addText("label", f.Label)
	if !f.Created.IsZero() {
		r.add("created", "%s", f.Created.Format(timeLayout))
	}
	r.addText("compression", f.Compression)
	r.addText("features", strings.Join(f.Features, ", "))
	return r
}

// timeLayout is how times are printed, in UTC.
const timeLayout = "2006-01-02 15:04:05"

func verityRows(v *inspect.Verity) rows {
	var r rows
	r.add("root hash", "%s", v.RootHash)
	r.addText("problem", v.Problem)
	if v.Problem != "" {
		return r
	}
	r.add("algorithm", "%s, hash type %s", v.Algorithm, v.HashType)
	r.add("data", "%d blocks of %d bytes", v.DataBlocks, v.DataBlockSize)
	r.add("tree", "%d bytes, blocks of %d", v.TreeSize, v.HashBlockSize)
	r.addText("salt", v.Salt)
	r.add("UUID", "%s", v.UUID)
	return r
}

func signatureRows(s *inspect.Signature) rows {
	var r rows
	r.addText("problem", s.Problem)
	r.addText("root hash", s.RootHash)
	if s.RootHash != "" && !s.Matches {
		r.add("", "which is not that of the partition UUIDs")
	}
	r.addText("fingerprint", s.Fingerprint)
	for _, signer := range s.Signers {
		if signer.KeyID != "" {
			r.addText("signer", "key "+signer.KeyID)
		} else {
			r.addText("signer", signer.Issuer+", serial number "+signer.Serial)
		}
		r.add("", "%s, %s", signer.Algorithm, signer.Digest)
		if signer.Attributes {
			r.add("", "over signed attributes")
		}
	}
	for _, c := range s.Certificates {
		addCertificate(&r, c)
	}
	if s.Problem == "" && len(s.Certificates) == 0 {
		r.add("certificate", "none inside")
	}
	return r
}

func addCertificate(r *rows, c inspect.Certificate) {
	r.addText("certificate", c.Subject)
	if c.Problem != "" {
		r.addText("", c.Problem)
	} else {
		r.addText("", "issued by "+c.Issuer+", serial number "+c.Serial)
		r.add("", "valid from %s to %s", c.NotBefore.Format(timeLayout), c.NotAfter.Format(timeLayout))
		r.addText("", c.Key)
	}
	r.add("", "SHA-256 %s", c.Fingerprint)
}

func besideRows(b *inspect.Beside) rows {
	var r rows
	r.addText("root hash", b.RootHash)
	if b.From != "" {
		r.addText("", "from "+b.From)
	}
	r.addText("hash tree", b.Tree)
	r.addText("signature", b.Signature)
	r.addList("ignored", b.Ignored)
	return r
}

func metadataRows(i *inspect.Inspection) rows {
	var r rows
	r.addText("hostname", i.Hostname)
	r.addText("machine id", i.MachineID)
	r.addList("machine-info", i.MachineInfo)
	r.addList("os-release", i.OSRelease)
	r.addList("initrd-release", i.InitrdRelease)
	for _, release := range i.Releases {
		r.addText(release.Class, release.Name)
		r.addList("", release.Fields)
	}
	return r
}

func useRows(u inspect.Uses) rows {
	var r rows
	for _, use := range []struct {
		is   bool
		what string
	}{
		{u.SystemExtension, "sysext for system"}, {u.InitrdSystemExtension, "sysext for initrd"},
		{u.PortableSystemExt, "sysext for portable services"}, {u.ConfigurationExtension, "confext for system"},
		{u.InitrdConfigurationExt, "confext for initrd"}, {u.PortableConfiguration, "confext for portable services"},
		{u.BootableUEFI, "bootable system for UEFI"}, {u.BootableContainer, "bootable system for container"},
		{u.PortableService, "portable service"}, {u.Initrd, "initrd"},
	} {
		mark := "no"
		if use.is {
			mark = "yes"
		}
		r.add(mark, "%s", use.what)
	}
	return r
}

func printFiles(w io.Writer, f *inspect.Files) error {
	var r rows
	r.add("names", "%d", f.Count)
	for _, kind := range []string{"file", "dir", "symlink", "char", "block", "fifo", "socket"} {
		if n := f.Kinds[kind]; n > 0 {
			r.add("  "+kind, "%d", n)
		}
	}
	r.add("bytes", "%d (%s)", f.Bytes, bytesText(f.Bytes))
	if err := r.print(w, "files"); err != nil {
		return err
	}
	for _, d := range f.Directories {
		fmt.Fprintf(w, "  %8s  %6d files  %s\n", bytesText(d.Bytes), d.Files, printable(d.Path))
	}
	fmt.Fprintf(w, "\nbiggest\n")
	for _, b := range f.Biggest {
		if _, err := fmt.Fprintf(w, "  %8s  %s\n", bytesText(b.Size), printable(b.Path)); err != nil {
			return err
		}
	}
	return nil
}
