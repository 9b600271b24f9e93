package cli

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"sextant/internal/extension"
	"sextant/internal/image"
	"sextant/internal/plain"
	"sextant/internal/report"
	"sextant/internal/verdict"
)

// verified is the result of verify in JSON. Where systemd-dissect --json has a
// key for the same thing, it is called the same. docs/json.md describes it.
type verified struct {
	Name           string           `json:"name"`
	Size           int64            `json:"size,omitempty"`
	SectorSize     int              `json:"sectorSize,omitempty"`
	Architecture   string           `json:"architecture,omitempty"`
	ImageUUID      string           `json:"imageUuid,omitempty"`
	SysextRelease  []string         `json:"sysextRelease,omitempty"`
	ConfextRelease []string         `json:"confextRelease,omitempty"`
	RootHash       string           `json:"rootHash,omitempty"`
	Facts          []report.Fact    `json:"facts"`
	Findings       []report.Finding `json:"findings"`
	Verdict        verdict.Verdict  `json:"verdict"`
}

func newVerified(m *image.Image, found *image.Checked) verified {
	r := verified{
		Name: filepath.Base(m.Path), Size: m.Size,
		RootHash: hex.EncodeToString(found.RootHash),
	}
	if m.Table != nil {
		r.SectorSize, r.ImageUUID = m.Table.SectorSize, m.Table.DiskGUID.String()
	}
	if volumes := m.Volumes(); len(volumes) > 0 {
		r.Architecture = string(volumes[0].Data.Type.Architecture)
	}
	if e := found.Extension; e != nil && e.Class == extension.Confext {
		r.ConfextRelease = assignments(e.Release)
	} else if e != nil {
		r.SysextRelease = assignments(e.Release)
	}
	return r
}

// nonNil makes a list without elements [] in JSON.
func nonNil[T any](list []T) []T { return append([]T{}, list...) }

// assignments gives a release file as systemd-dissect does.
func assignments(r extension.Release) (list []string) {
	for _, f := range r {
		list = append(list, f.Key+"="+f.Value)
	}
	return list
}

// printChecked prints what is good, then what is not, the worst last, and then
// the verdict, so that what matters stands where the eye is.
func printChecked(w io.Writer, found *image.Checked) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, fact := range found.Facts {
		fmt.Fprintf(t, "good\t%s\t%s\n", plain.Text(fact.Subject), plain.Text(fact.Text))
	}
	findings := slices.Clone(found.Findings)
	slices.SortStableFunc(findings, func(a, b report.Finding) int { return cmp.Compare(a.Severity, b.Severity) })
	for _, finding := range findings {
		fmt.Fprintf(t, "%s\t%s\t%s%s\n", finding.Severity, plain.Text(finding.Place), plain.Text(finding.Text), inBrackets(finding.Rule))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", found.Verdict)
	return err
}

func inBrackets(rule string) string {
	if rule == "" {
		return ""
	}
	return " [" + rule + "]"
}
