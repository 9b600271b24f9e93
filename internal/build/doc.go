// Package build carries a plan out, and decides nothing.
//
//	              ┌─ render ─ hash ─ write ─┐   one worker per processor,
//	plan ─ image ─┼─ render ─ hash ─ write ─┼─  half a MiB at a time
//	              └─ render ─ hash ─ write ─┘
//	      ─ upper levels of the hash tree ─ signature ─ partition table
//
// Every byte of a file system can be rendered on its own (see erofs.Layout), so
// a worker takes the next segment, renders it, hashes its blocks while they are
// in the cache, and writes it to its place. The image does not depend on the
// number of workers, and memory not on the size of the files.
//
// The partition table comes last: two of its UUIDs are halves of the root hash.
package build
