package rootfs

import (
	"context"
	"os/exec"
	"syscall"
)

// Bind makes a file or directory of the host visible inside.
type Bind struct {
	Host  string // absolute path on the host
	Guest string // absolute path inside; made where it is missing
}

// enter gives the program after "--" the tree as its root, under a layer in
// memory that takes what it writes: the tree is shared by all tests. All mounts
// are in a mount namespace, all processes in a PID namespace, which the kernel
// removes with the last process, however the test ends.
//
// /tmp and /var/tmp are file systems of their own, not parts of the layer, as
// mkosi stacks overlays of its own there and an overlay cannot be the upper
// part of another one.
const enter = `set -eu
tree=$1 scratch=$1/mnt root=$1/mnt/root
shift
mount -t tmpfs -o mode=0755 scratch "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$root"
mount -t overlay -o "lowerdir=$tree,upperdir=$scratch/upper,workdir=$scratch/work" root "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
for dir in tmp var/tmp run; do
	mount -t tmpfs -o mode=1777 "$dir" "$root/$dir"
done
while [ "$1" != -- ]; do
	if [ -d "$1" ]; then
		mkdir -p "$root$2"
	else
		mkdir -p "$root$(dirname "$2")"
		touch "$root$2"
	fi
	mount --rbind "$1" "$root$2"
	shift 2
done
shift
unset TMPDIR XDG_CACHE_HOME XDG_RUNTIME_DIR
HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
export HOME PATH
exec chroot "$root" "$@"
`

// Command returns a command that runs a program of the tree on the kernel of
// the host, in a chroot; it needs root. What the program writes outside of
// binds is gone when it ends. mkosi needs Distribution=custom there, or it goes
// to the network.
func (r Rootfs) Command(ctx context.Context, binds []Bind, name string, args ...string) *exec.Cmd {
	argv := []string{"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--", "/bin/sh", "-c", enter, "sh", r.Tree}
	for _, b := range binds {
		argv = append(argv, b.Host, b.Guest)
	}
	argv = append(append(argv, "--", name), args...)
	cmd := exec.CommandContext(ctx, "unshare", argv...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
