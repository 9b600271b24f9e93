package merge

import (
	"fmt"

	"sextant/internal/hierarchy"
	"sextant/internal/linux/mount"
)

// covered names what others have mounted over a merge of ours: it can neither be
// seen nor taken away.
func (r *run) covered() error {
	for _, s := range r.sites {
		if s.status.Merged || s.status.Real == "" {
			continue
		}
		point, err := mount.IsPoint(s.real)
		if err != nil || !point {
			continue
		}
		table, err := r.hostTable()
		if err != nil {
			return err
		}
		list, err := hierarchy.Foreigners(s.real, r.opts.Class, table)
		if err != nil {
			return err
		}
		for _, f := range list {
			if f.Place == hierarchy.Covers {
				f.Advice = advice(f, r.opts.Submounts)
				r.report.Foreign = append(r.report.Foreign, f)
				return fmt.Errorf("%s is mounted over the extensions at %s: %s", f.Type, s.real, f.Advice)
			}
		}
	}
	return nil
}
