// Package mount speaks the kernel's mount interface: file system contexts,
// mount trees that stand nowhere yet, attaching them, and the table of what is
// mounted (fsopen(2), open_tree(2), move_mount(2), mount_setattr(2),
// proc_pid_mountinfo(5)). Linux 5.12 has all but what is marked.
package mount
