// Package repart reads partition definitions: the files of sysext.repart.d/,
// in the format of systemd-repart.
//
//	sysext.repart.d/
//	    10-root.conf            one partition, in the order of the file names
//	    10-root.conf.d/         drop-ins, read after 10-root.conf
//	        50-size.conf
//	    20-root-verity.conf
//
// Where several directories are read, a file name counts in the first one that
// has it; an empty file or a link to /dev/null takes the name away.
//
// A definition describes one of the partitions that an extension can have: the
// root or /usr file system, its hash tree, and the signature of that. Of
// systemd-repart's settings those that mean something for such an image are
// taken. What systemd-repart passes over with a warning (an unknown setting, a
// relative path, a value that it cannot read) is an error here, as the image
// would not be the one that was asked for.
//
// Without definitions of the user there are built-in ones, which are those of
// mkosi and of systemd-repart --make-ddi=.
//
// Sources: repart.d(5); systemd 257 and 262 src/repart/repart.c
// (partition_read_definition, context_read_definitions, config_parse_*);
// mkosi 27.1 mkosi/resources/repart/definitions.
package repart
