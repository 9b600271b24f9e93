// Package selinux gives files the labels that the SELinux policy of a root
// file system has for them, as setfiles and restorecon would, without either.
//
//	/etc/selinux/config                                       SELINUX=, SELINUXTYPE=
//	/etc/selinux/TYPE/contexts/files/file_contexts            /var/log/.*  --  system_u:object_r:var_log_t:s0
//	                                 file_contexts.homedirs   the same, made for the users
//	                                 file_contexts.local      the same, by semanage fcontext -a
//	                                 file_contexts.subs_dist  /var/run /run: look the first up as the second
//	                                 file_contexts.subs       the same, by semanage fcontext -a -e
//
// A line is a regular expression for whole paths, a type of file where one is
// meant (-- -d -l -b -c -p -s), and a label, or <<none>> for files that keep
// what they have. Lines without any special character come before all others;
// among each kind the last line that matches counts, and file_contexts is
// sorted from general to specific when the policy is built.
//
// The expressions are PCRE, of which package regexp knows nearly all that
// policies use. A line that it cannot read is an error for the paths that the
// line may be about, and for no others.
//
// Not read are the compiled forms (file_contexts.bin), which are made of the
// same lines, and labels are not checked against the policy.
//
// Source: libselinux 3.4 and 3.9, src/label_file.c, label_file.h, regex.c;
// file_contexts(5), selabel_file(5).
package selinux
