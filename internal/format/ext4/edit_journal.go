package ext4

func (f *FS) replay(disk Storage) error { return unsupported("journal") }

// journalBlock reads a block of the journal.
func (f *FS) journalBlock(logical uint32) ([]byte, error) {
	n, err := f.node(f.super.JournalInode)
	if err != nil {
		return nil, err
	}
	c, err := f.content(n)
	if err != nil {
		return nil, err
	}
	b := make([]byte, f.geo.BlockSize)
	return b, readFull(c, b, int64(logical)*f.geo.BlockSize)
}
