// Package tar reads tar archives, in place and by offset: it tells where in
// the archive the bytes of each file lie, holes included, instead of handing
// them out. The standard library's archive/tar reads holes as zeros and keeps
// the sparse map to itself, so a file of many gigabytes without data would
// have to be read through.
//
//	┌────────────┬──────────┬─────────┬────────────┬───────────┬───
//	│ x: records │ records… │ header  │ sparse map │ data…     │ next
//	│ 512 bytes  │ n × 512  │ 512     │ n × 512    │ n × 512   │
//	└────────────┴──────────┴─────────┴────────────┴───────────┴───
//	  optional, also g,       '0'…'7'   optional     optional
//	  L and K                 or 'S'
//
// The archive ends with a block of zeros or with the file.
//
// It reads all that is in use:
//   - Unix version 7, and POSIX ustar and pax (IEEE Std 1003.1-2017, pax,
//     "ustar Interchange Format" and "pax Interchange Format");
//   - GNU tar's long names, base-256 numbers and sparse files, the old format
//     and the three in pax records, 0.0, 0.1 and 1.0 (GNU tar manual, "Basic
//     Tar Format" and "Storing Sparse Files");
//   - the layout of star with its shorter prefix.
//
// It does not read GNU's multi-volume archives, star's own sparse format and
// Solaris' vendor headers: those are unsupported, not skipped.
package tar
