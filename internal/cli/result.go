package cli

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"sextant/internal/build"
	"sextant/internal/config"
	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/format/gpt"
	"sextant/internal/keys"
	"sextant/internal/plan"
	"sextant/internal/tree"
)

// result is what a build says about the image it made.
type result struct {
	Image       string             `json:"image"`
	Files       []string           `json:"files"`
	Size        int64              `json:"size"`
	SectorSize  int                `json:"sectorSize"`
	DiskUUID    string             `json:"diskUuid"`
	Partitions  []partitionResult  `json:"partitions"`
	RootHash    string             `json:"rootHash,omitempty"`
	Certificate *certificateResult `json:"certificate,omitempty"`
	Content     plan.Summary       `json:"content"`

	class extension.Class
	name  string
	env   Env
	cert  string // path of the certificate
}

// partitionResult is one row of the partition table. Start and End are LBAs,
// End the last one.
type partitionResult struct {
	Device     string `json:"device"`
	Start      uint64 `json:"start"`
	End        uint64 `json:"end"`
	Sectors    uint64 `json:"sectors"`
	Size       int64  `json:"size"`
	Type       string `json:"type"`
	TypeUUID   string `json:"typeUuid"`
	UUID       string `json:"uuid"`
	Label      string `json:"label"`
	Attributes string `json:"attributes"`
}

type certificateResult struct {
	Subject     string `json:"subject"`
	Fingerprint string `json:"fingerprint"`
	NotAfter    string `json:"notAfter"`
}

func newResult(b *builder, p *plan.Plan, w *build.Written, signing *build.Signing, paths []string) *result {
	r := &result{
		Image: paths[0], Files: paths[1:], Size: p.Size, SectorSize: p.SectorSize,
		DiskUUID: p.DiskGUID.String(), Content: p.Summary,
		Partitions: partitionResults(cleanName(paths[0]), w.Table),
		class:      p.Extension.Class, name: p.Extension.ID, env: b.env, cert: b.cfg.VerityCertificate,
	}
	for _, root := range w.RootHashes {
		if root != nil {
			r.RootHash = hex.EncodeToString(root)
			break
		}
	}
	if signing != nil {
		c := signing.Certificate
		r.Certificate = &certificateResult{
			Subject: c.Subject.String(), Fingerprint: keys.Fingerprint(c),
			NotAfter: c.NotAfter.UTC().Format(dateLayout),
		}
	}
	return r
}

func partitionResults(image string, t *gpt.Table) []partitionResult {
	var rows []partitionResult
	for i, p := range t.Partitions {
		row := partitionResult{
			Device: fmt.Sprintf("%s%d", image, i+1), Start: p.First, End: p.Last, Sectors: p.Last - p.First + 1,
			Size: t.Span(p).Length, Type: p.Type.String(), TypeUUID: p.Type.String(), UUID: p.UUID.String(),
			Label: p.Name, Attributes: p.Attributes.String(),
		}
		if known, ok := dps.TypeOf(p.Type); ok {
			row.Type = known.Description
		}
		rows = append(rows, row)
	}
	return rows
}

func (b *builder) printResult(r *result) error {
	if b.flags.json {
		return writeJSON(b.env.Stdout, r)
	}
	return r.print(b.env.Stdout)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// print writes the partition table of the seed document, then what else is
// worth knowing, and how to install the image.
func (r *result) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 8, 1, ' ', 0)
	fmt.Fprintln(t, "Device\tStart\tEnd\tSectors\tSize\tType")
	for _, p := range r.Partitions {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\n", p.Device, p.Start, p.End, p.Sectors, bytesText(p.Size), p.Type)
	}
	fmt.Fprintln(t)
	for _, d := range r.Content.Directories {
		fmt.Fprintf(t, "%s\t%d files\t%s\n", d.Path, d.Files, bytesText(d.Bytes))
	}
	fmt.Fprintln(t)
	if r.RootHash != "" {
		fmt.Fprintf(t, "root hash\t%s\n", r.RootHash)
	}
	if c := r.Certificate; c != nil {
		fmt.Fprintf(t, "signed by\t%s\nfingerprint\t%s\nvalid until\t%s\n", c.Subject, c.Fingerprint, c.NotAfter)
	}
	fmt.Fprintf(t, "image\t%s\n", r.env.show(r.Image))
	for _, f := range r.Files {
		fmt.Fprintf(t, "\t%s\n", r.env.show(f))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return r.printInstall(out)
}

// printInstall writes the lines that install the image by hand.
func (r *result) printInstall(out io.Writer) error {
	_, err := fmt.Fprintf(out, "\nTo install it:\n    install -m 644 %s %s/%s.raw\n",
		r.env.show(r.Image), r.class.InstallDir(), r.name)
	if r.Certificate != nil && err == nil {
		_, err = fmt.Fprintf(out, "    install -m 644 %s /etc/verity.d/%s\n", r.env.show(r.cert), certificateName(r.cert))
	}
	return err
}

// certificateName returns the name under which systemd finds a certificate in
// verity.d: one that ends in .crt.
func certificateName(path string) string {
	name := cleanName(path)
	if len(name) > 4 && name[len(name)-4:] == ".crt" {
		return name
	}
	return name + ".crt"
}

// releaseOf reads the release file out of the tree of a plan.
func releaseOf(p *plan.Plan) (extension.Release, error) {
	for _, part := range p.Partitions {
		if part.Data == nil {
			continue
		}
		node := part.Data.Tree.Lookup(p.Extension.Class.ReleasePath(p.Extension.ID))
		if node == nil {
			continue
		}
		if text, ok := node.Content.(tree.Bytes); ok {
			return extension.ParseRelease(text)
		}
	}
	return nil, nil
}

// printSummary prints the configuration in force.
func (f buildFlags) printSummary(env Env, cfg *config.Config) error {
	if f.json {
		return writeJSON(env.Stdout, cfg.Settings())
	}
	return cfg.Summary(env.Stdout)
}
