// Package acceptance holds the tests in which others judge what the whole
// program makes: stock systemd in virtual machines, the kernel, mkosi, openssl
// and the checkers of file systems and partition tables. It has no code of its
// own.
package acceptance
