package cli

import (
	"fmt"
	"path/filepath"
	"text/tabwriter"

	"sextant/internal/format/gpt"
	"sextant/internal/plan"
)

// planResult is what build --plan says.
type planResult struct {
	Size       int64           `json:"size"`
	SectorSize int             `json:"sectorSize"`
	Seed       string          `json:"seed"`
	DiskUUID   string          `json:"diskUuid"`
	Time       string          `json:"time"`
	Partitions []plannedResult `json:"partitions"`
	Content    plan.Summary    `json:"content"`
}

type plannedResult struct {
	Definition string `json:"definition"`
	Type       string `json:"type"`
	TypeUUID   string `json:"typeUuid"`
	UUID       string `json:"uuid,omitempty"` // empty if it comes from the root hash
	Label      string `json:"label"`
	Attributes string `json:"attributes"`
	Offset     int64  `json:"offset"` // bytes
	Size       int64  `json:"size"`   // bytes
	Deferred   bool   `json:"deferred,omitempty"`

	FileSystemUUID string `json:"fileSystemUuid,omitempty"`
	FileSystemSize int64  `json:"fileSystemSize,omitempty"`

	VerityUUID    string `json:"verityUuid,omitempty"`
	Salt          string `json:"salt,omitempty"`
	DataBlocks    int64  `json:"dataBlocks,omitempty"`
	DataBlockSize int    `json:"dataBlockSize,omitempty"`
	HashBlockSize int    `json:"hashBlockSize,omitempty"`
}

func newPlanResult(p *plan.Plan) planResult {
	r := planResult{
		Size: p.Size, SectorSize: p.SectorSize, Seed: gpt.GUID(p.Seed).String(), DiskUUID: p.DiskGUID.String(),
		Time: p.Time.UTC().Format(dateLayout), Content: p.Summary,
	}
	for _, part := range p.Partitions {
		r.Partitions = append(r.Partitions, newPlannedResult(part))
	}
	return r
}

func newPlannedResult(part plan.Partition) plannedResult {
	r := plannedResult{
		Definition: part.Definition.At.String(), Type: part.Definition.Type.Name, TypeUUID: part.Definition.Type.UUID.String(),
		Label: part.Label, Attributes: part.Definition.Attributes.String(), Offset: part.Span.Offset, Size: part.Span.Length, Deferred: part.Deferred,
	}
	if !part.RootHashUUID {
		r.UUID = part.UUID.String()
	}
	if d := part.Data; d != nil {
		r.FileSystemUUID, r.FileSystemSize = d.UUID.String(), d.Layout.Size()
	}
	if h := part.Hash; h != nil {
		r.VerityUUID, r.Salt = gpt.GUID(h.Params.UUID).String(), fmt.Sprintf("%x", h.Params.Salt)
		r.DataBlocks, r.DataBlockSize, r.HashBlockSize = h.Params.DataBlocks, h.Params.DataBlockSize, h.Params.HashBlockSize
	}
	return r
}

// printPlan prints what would be built.
func (b *builder) printPlan(p *plan.Plan) error {
	r := newPlanResult(p)
	if b.flags.json {
		return writeJSON(b.env.Stdout, r)
	}
	t := tabwriter.NewWriter(b.env.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "image\t%s\n", b.env.show(b.output.ImagePath()))
	fmt.Fprintf(t, "size\t%d bytes, sectors of %d\n", r.Size, r.SectorSize)
	fmt.Fprintf(t, "seed\t%s\n", r.Seed)
	fmt.Fprintf(t, "disk UUID\t%s\n", r.DiskUUID)
	fmt.Fprintf(t, "newest time\t%s\n", r.Time)
	fmt.Fprintf(t, "content\t%d files, %d bytes\n", r.Content.Files, r.Content.Bytes)
	for i, part := range r.Partitions {
		fmt.Fprintf(t, "\npartition %d\t%s\n", i+1, part.Type)
		for _, row := range part.rows() {
			fmt.Fprintf(t, "  %s\t%s\n", row[0], row[1])
		}
	}
	return t.Flush()
}

// rows returns what there is to say about a partition, name and value.
func (r plannedResult) rows() [][2]string {
	uuid := r.UUID
	if uuid == "" {
		uuid = "half of the root hash"
	}
	rows := [][2]string{
		{"defined by", r.Definition}, {"type UUID", r.TypeUUID}, {"UUID", uuid}, {"label", r.Label},
		{"attributes", r.Attributes}, {"bytes", fmt.Sprintf("%d-%d (%s)", r.Offset, r.Offset+r.Size, bytesText(r.Size))},
	}
	if r.FileSystemUUID != "" {
		rows = append(rows, [2]string{"file system", fmt.Sprintf("erofs %s, %d bytes", r.FileSystemUUID, r.FileSystemSize)})
	}
	if r.VerityUUID != "" {
		rows = append(rows, [2]string{"hash tree", fmt.Sprintf("%s, %d data blocks of %d bytes, hash blocks of %d", r.VerityUUID, r.DataBlocks, r.DataBlockSize, r.HashBlockSize)},
			[2]string{"salt", r.Salt})
	}
	if r.Deferred {
		rows = append(rows, [2]string{"deferred", "space kept, no entry in the table"})
	}
	return rows
}

// cleanName returns the name of the file at path.
func cleanName(path string) string { return filepath.Base(filepath.Clean(path)) }
