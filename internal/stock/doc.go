// Package stock is the program under systemd's names: called as systemd-sysext or
// systemd-confext it takes the command lines of release 262 and answers as that
// does, byte for byte where other programs read it.
//
//	systemd-sysext [OPTIONS] [status | merge | unmerge | refresh | list]
//
//	options.go    the command line
//	table.go      columns of text
//	json.go       the same values in systemd's JSON
//	stamp.go      times
//	words.go      the log
//	verbs.go      what each verb does
//
// What differs: an image that is bad is left out with its reason and the others
// are merged, where 262 merges none; the exit status is 1 in both. On a terminal
// there are no colours and there is no pager.
//
// Source: systemd 262, src/sysext/sysext.c, src/shared/format-table.c,
// src/shared/options.c; the tests run both side by side.
package stock
