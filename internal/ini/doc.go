// Package ini reads the two dialects of INI files that describe an image:
// mkosi's (mkosi.conf) and systemd's (repart.d/*.conf). Both are
//
//	[Section]
//	Key=value
//
// and differ in the rest:
//
//	                  mkosi                         systemd
//	comment           from # to the end, anywhere   a line that starts with # or ;
//	longer value      the next line is indented     the line ends in a backslash
//	the parts joined  by a newline                  by a space
//	indented file     the common indent is removed  every line is trimmed
//
// A key may appear more than once and sections may repeat; both keep their
// order. Every section and every key knows the line it starts on. What a
// section or a key means is not known here.
//
// Where both original parsers shrug (a key before any section, a line without
// an equals sign, bytes that are no UTF-8), this one reports a Fault.
//
// Sources: mkosi 27.1 mkosi/config.py parse_ini; systemd 257
// src/shared/conf-parser.c config_parse, parse_line; systemd.syntax(7).
package ini
