package ext4

func (e *Editor) removeOrphans() error {
	if e.fs.Dirty() {
		return unsupported("orphans")
	}
	return nil
}
