package merge

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"sextant/internal/discover"
	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/image"
	"sextant/internal/linux/loop"
	"sextant/internal/linux/mount"
	"sextant/internal/policy"
)

// mountImage mounts the file systems of an image in the workspace. The image is
// opened once: what is checked and what the kernel mounts are the same file.
func (r *run) mountImage(l *layer) (rule string, err error) {
	m, err := image.Open(l.Path)
	if err != nil {
		return RuleTable, err
	}
	defer m.Close()
	p, err := r.policyFor(l)
	if err != nil {
		return RulePolicy, err
	}
	volumes, err := m.Allowed(p, r.opts.systemd())
	if err != nil {
		return r.refused(m, l, err)
	}
	if len(volumes) == 0 {
		return RuleTable, fmt.Errorf("has no root or usr partition that may be used: %w", fault.ErrCorrupt)
	}
	for _, v := range volumes {
		if rule, err := r.mountVolume(l, m, v, p); err != nil {
			return rule, err
		}
	}
	return "", nil
}

// refused tells why the image policy does not take an image: in plain words where
// all that is missing is a signature that was asked for.
func (r *run) refused(m *image.Image, l *layer, err error) (rule string, _ error) {
	if r.opts.RequireSigned {
		if _, err := m.Allowed(signedOnly(l.Class), r.opts.systemd()); err != nil {
			return RuleSigned, fmt.Errorf("is not signed: %w", fault.ErrUntrusted)
		}
	}
	return RulePolicy, err
}

// policyFor returns the image policy that holds for a candidate: the one that
// was asked for, else that of the class, which for what comes from an untrusted
// place is a strict one (sysext.c, pick_image_policy).
func (r *run) policyFor(l *layer) (p policy.Policy, err error) {
	switch {
	case r.opts.Policy != nil:
		p = *r.opts.Policy
	case l.Trust == discover.Denied:
		p = policy.Deny()
	case l.Trust == discover.Strict:
		p = signedOnly(l.Class)
	case l.Class == extension.Confext:
		p = policy.Confext()
	default:
		p = policy.Sysext()
	}
	if r.opts.RequireSigned {
		p, err = p.Intersect(signedOnly(l.Class))
	}
	return p, err
}

func (r *run) mountVolume(l *layer, m *image.Image, v image.Volume, p policy.Policy) (rule string, err error) {
	kind, err := m.Recognise(v.Data)
	if err != nil {
		return RuleTable, err
	}
	if kind == image.LUKS {
		return RuleTable, fmt.Errorf("%s is encrypted, and nobody asks for a passphrase: %w", v.Data.Name(), fault.ErrUnsupported)
	}
	if !slices.Contains(r.fileSystems(), string(kind)) {
		return RulePolicy, fmt.Errorf("file system %s is not one that may be mounted: %w", kind, fault.ErrUnsupported)
	}
	data, err := r.k.loop(m.File(), loop.Options{Offset: v.Data.Span.Offset, Size: v.Data.Span.Length})
	if err != nil {
		return RuleMount, err
	}
	defer data.Close()
	target := l.dir
	if v.Role() == dps.Usr {
		target += "/usr"
	}
	s, rule, err := r.findSeal(m, v)
	if err != nil {
		return rule, err
	}
	if s == nil {
		return RuleMount, r.mountDevice(data.Name(), kind, target)
	}
	defer s.close()
	l.rootHash = fmt.Sprintf("%x", s.root)
	return r.mountSealed(l, s, data, kind, target, p.For(v.Role()))
}

func (r *run) fileSystems() []string {
	if r.opts.Verity.FileSystems != nil {
		return r.opts.Verity.FileSystems
	}
	return []string{"btrfs", "erofs", "ext4", "f2fs", "squashfs", "vfat", "xfs"}
}

// mountDevice mounts a file system of an image, read-only. A journal that was
// not written back stays as it is.
func (r *run) mountDevice(device string, kind image.Kind, target string) error {
	options := []mount.Option{{Key: "ro", Flag: true}}
	switch kind {
	case "ext4", "xfs", "f2fs":
		options = append(options, mount.Option{Key: "norecovery", Flag: true})
	case "btrfs":
		options = append(options, mount.Option{Key: "rescue", Value: "nologreplay"})
	}
	tree, err := r.k.newMount(string(kind), device, options, mount.ReadOnly|mount.NoDev)
	if err != nil {
		return err
	}
	defer tree.Close()
	if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
		if err := r.k.mkdir(target, 0o755); err != nil {
			return err
		}
	}
	return r.k.attach(tree, target)
}
