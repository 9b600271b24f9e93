package tree

import (
	"io/fs"
	"time"
)

// Stat returns what io/fs tells of the inode under a name. The Sys of the result
// is the *Inode.
func (i *Inode) Stat(name string) fs.FileInfo { return state{name, i} }

type state struct {
	name  string
	inode *Inode
}

func (s state) Name() string       { return s.name }
func (s state) Size() int64        { return s.inode.Size() }
func (s state) Mode() fs.FileMode  { return s.inode.Mode.FileMode() }
func (s state) ModTime() time.Time { return s.inode.ModTime }
func (s state) IsDir() bool        { return s.inode.Mode.IsDir() }
func (s state) Sys() any           { return s.inode }
func (s state) String() string     { return fs.FormatFileInfo(s) }
