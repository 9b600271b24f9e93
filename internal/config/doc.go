// Package config reads what the user wrote: a directory with mkosi.conf, and
// the command line. The result is a Config that names every value in force and
// where it comes from.
//
//	command line        wins; what it adds to a list comes last
//	mkosi.local/        wins over what is below
//	mkosi.local.conf
//	companion files     mkosi.version, mkosi.seed, mkosi.key, mkosi.crt,
//	                    mkosi.extra/, mkosi.extra.tar, mkosi.repart/,
//	                    mkosi.output/, mkosi.env
//	mkosi.conf          [Include]= is read at the place where it stands
//	mkosi.conf.d/       files and directories by name; each directory is
//	                    read like the top one
//
// A later assignment replaces an earlier one or, for a list, adds to it; an
// empty one takes back what was assigned. A file whose [Match] does not hold
// is skipped, and for the mkosi.conf of a directory so is the directory.
//
// The dialect is that of mkosi 27.1 for Format=sysext and Format=confext. What
// is left out is never passed over in silence: a setting of mkosi that would
// change the image is an error, one that only steers how mkosi works is a
// warning, and so is a name that mkosi does not know. Nothing is executed, and
// [Assert], [TriggerMatch], profiles and mkosi.images/ are errors.
//
// Differences to mkosi are those: sysext.repart.d/ and confext.repart.d/ in
// the directory replace the built-in partitions; SOURCE_DATE_EPOCH in
// Environment= counts, as mkosi documents but does not do; an unknown
// specifier is an error; the section [X-Sextant], which mkosi ignores, holds
// settings of our own.
//
// Source: mkosi 27.1, mkosi/config.py and mkosi(1).
package config
