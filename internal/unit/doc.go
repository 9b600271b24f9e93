// Package unit enables and disables systemd units in a root file system that
// does not run, with the links that `systemctl --root=ROOT enable|disable` of
// the same systemd makes and removes. Nothing is run and nothing is written:
// a System reads, and answers with Changes.
//
//	foo.service                                  in one of the search paths
//	  [Install]
//	  WantedBy=multi-user.target    ->  /etc/systemd/system/multi-user.target.wants/foo.service
//	  RequiredBy=bar.target         ->  /etc/systemd/system/bar.target.requires/foo.service
//	  UpheldBy=baz.target           ->  /etc/systemd/system/baz.target.upholds/foo.service (since 254)
//	  Alias=old.service             ->  /etc/systemd/system/old.service
//	  Also=foo.socket               ->  the same for foo.socket
//	  DefaultInstance=x                 what foo@.service is enabled as
//
// Read are the unit file and the drop-ins NAME.d/*.conf and, of an instance,
// TEMPLATE.d/*.conf; like systemctl, not those of a type (service.d) or of a
// prefix (foo-.service.d), which count for the manager only
// (systemd issue 22230). Disable looks at no [Install] but for Also=: it
// removes every link to the unit, or of its name, below /etc/systemd/system.
//
// Where this differs from systemctl on purpose:
//
//   - Specifiers that systemctl takes from the machine that it runs on (%b %H
//     %l %q %v) are errors: they would be those of the wrong machine. %a is
//     the architecture of the root file system.
//   - What fails changes nothing; systemctl keeps the links it made before.
//   - Links are followed inside the root always. systemctl lets an absolute
//     link in the middle of a path lead to the running system.
//   - A service that is only a script in /etc/init.d is an error; systemctl
//     hands it to systemd-sysv-install.
//
// Sources: systemd.unit(5), systemctl(1), systemd.preset(5), machine-id(5),
// and of systemd 252 and 257 src/shared/install.c, src/shared/unit-file.c,
// src/basic/unit-name.c, src/shared/conf-parser.c.
package unit
