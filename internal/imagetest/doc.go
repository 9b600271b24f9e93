// Package imagetest helps tests to compare file trees: in memory, in a
// directory, and in a mounted image.
package imagetest
