// Package lint holds the house rules that a program can check, as tests:
// formatting, documentation, the direction of imports, the size of functions
// and files. HACKING.md gives the reasons.
package lint
