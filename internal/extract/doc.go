// Package extract writes a tree into a directory, whatever names and links
// somebody put into it.
//
//	tree ─ check ─> stage ─ publish ─> directory ─ finish
//
// Everything is made below a directory of our own first, which nobody else can
// enter (.sextant-NUMBER), and moved to its place when it is complete: an
// extraction that ends early leaves what was there before, and nothing else.
//
// No path of the tree is ever given to the system. Every directory is opened
// inside the one above it (os.Root), each file made new in such a directory, so
// that no symbolic link, old or new, leads out.
//
// Files get owner, mode, extended attributes and time as soon as they are
// complete; directories when all is at its place, since what happens inside
// them changes their times. Directories that were there before stay as they
// are. What this user or system cannot make is left out and counted.
package extract
