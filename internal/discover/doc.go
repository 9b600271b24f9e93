// Package discover finds the extensions that lie on a system: images,
// directories, block devices. It reads names, never contents.
//
//	sysext    /etc/extensions  /run/extensions  /var/lib/extensions
//	          in an initrd also /.extra/sysext  /.extra/global_sysext
//	confext   /run/confexts  /var/lib/confexts  /usr/local/lib/confexts  /usr/lib/confexts
//	          in an initrd without /usr/lib/confexts, with /.extra/confext  /.extra/global_confext
//
// The first of a name wins, whatever it is: an empty directory hides an image of
// the same name further down. Within a directory the file system's order counts,
// as in systemd.
//
//	NAME.raw  NAME.sysext.raw      a raw image
//	NAME/     NAME.sysext/         a directory, or a btrfs subvolume
//	NAME.mstack/                   layers, mounted by systemd since 260
//	NAME                           a block device, usually by a symbolic link
//	NAME.raw.v/  NAME.v/           a directory of versions, of which one is picked (pick.go)
//
// Confexts have .confext in the place of .sysext. Symbolic links are followed,
// and stay below the root.
//
// One thing differs from systemd 262: a link that leads in a circle or through a
// file makes systemd find nothing at all, here it is one candidate with a fault.
//
// Sources: systemd 262 src/shared/discover-image.c and src/shared/vpick.c,
// systemd.v(7), systemd-sysext(8); compared with its `systemd-sysext list`.
package discover
