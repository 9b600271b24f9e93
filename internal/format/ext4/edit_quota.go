package ext4

// quotaKey is an owner whose files are counted.
type quotaKey struct {
	kind uint8
	id   uint32
}

// quotaDelta is what an owner has more than before, or less.
type quotaDelta struct {
	inodes, sectors int64
}

func (e *Editor) charge(n *node, inodes, sectors int64) {}

func (e *Editor) applyUsage() error { return nil }

// countsUsage reports whether the file system counts what owners have.
func (e *Editor) countsUsage() bool {
	return e.fs.super.FeatureROCompat&(ROCompatQuota|ROCompatProject) != 0
}
