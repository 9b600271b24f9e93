package erofs

import (
	"context"

	"sextant/internal/span"
)

// CheckData decodes all compressed data and returns what cannot be decoded, as
// Check does for structures. Other data has nothing to check. It stops when ctx
// is done.
func (f *FS) CheckData(ctx context.Context) []Finding {
	c := dataChecker{ctx: ctx, f: f}
	for what, s := range f.specials() {
		c.check(what, s.content)
	}
	err := newWalker(f).walk(func(v visit) error {
		if v.inode == nil || v.again || !v.inode.Format.Layout().Compressed() {
			return ctx.Err()
		}
		content, err := v.inode.content()
		if err != nil {
			c.findings = append(c.findings, Finding{v.path, err})
		} else {
			c.check(v.path, content)
		}
		if len(c.findings) >= maxFindings {
			return errEnough
		}
		return ctx.Err()
	})
	if err != nil && err != errEnough {
		c.findings = append(c.findings, Finding{"", err})
	}
	return c.findings
}

type dataChecker struct {
	ctx      context.Context
	f        *FS
	findings []Finding
	buf      []byte
}

// check decodes what is compressed in the content of one file. Fragments are
// checked with the packed inode.
func (c *dataChecker) check(path string, content content) {
	z, ok := content.(*compressed)
	if !ok {
		return
	}
	err := z.each(span.Span{Length: z.size}, func(p pcluster) error {
		if p.hole() || p.fragment || p.algorithm > Zstd {
			return c.ctx.Err()
		}
		if int64(cap(c.buf)) < p.Length {
			c.buf = make([]byte, p.Length)
		}
		if err := z.read(c.buf[:p.Length], p, 0); err != nil {
			return err
		}
		return c.ctx.Err()
	})
	if err != nil && c.ctx.Err() == nil {
		c.findings = append(c.findings, Finding{path, err})
	}
}
