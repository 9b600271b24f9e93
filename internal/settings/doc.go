// Package settings reads what a merge is told without arguments: environment
// variables, configuration files and the kernel's command line.
//
//	$SYSTEMD_SYSEXT_HIERARCHIES                  what is merged into, with colons between
//	$SYSTEMD_SYSEXT_MUTABLE_MODE                 as --mutable=
//	$SYSTEMD_SYSEXT_OVERLAYFS_MOUNT_OPTIONS      in the place of the usual ones
//	$SYSTEMD_OS_RELEASE                          the host's os-release
//	$SYSTEMD_DISSECT_*, $SYSTEMD_VERITY_SHARING  how images are opened
//	$SEXTANT_REQUIRE_SIGNED                      as --require-signed
//	systemd/sysext.conf                          [SysExt] Mutable= ImagePolicy=
//	sextant/merge.conf                           [Merge] RequireSigned= Submounts=
//	systemd.sysext=, systemd.allow_userspace_verity=   on the kernel's command line
//
// SYSEXT stands for CONFEXT too. Files are looked for in /etc, /run,
// /usr/local/lib and /usr/lib, and have drop-ins in NAME.d. An argument beats the
// environment, which beats the files.
//
// Sources: systemd 262 src/sysext/sysext.c, src/shared/conf-parser.c,
// systemd.syntax(7), ENVIRONMENT.md.
package settings
