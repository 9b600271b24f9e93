// Package merge lays extensions over the directories of a running system, and
// takes them away again:
//
//	candidates ─ Plan ─> decisions ─ open, verify, mount ─> layers ─ overlay ─> hierarchy
//
// Unmerge goes the same way back. What is built is built in a mount namespace
// of its own, so that a merge that ends in the middle leaves nothing.
package merge
