package merge

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/format/verity"
	"sextant/internal/image"
	"sextant/internal/linux/dm"
	"sextant/internal/linux/keyring"
	"sextant/internal/linux/loop"
	"sextant/internal/linux/smallfile"
	"sextant/internal/policy"
	"sextant/internal/signature"
)

// seal is what protects a volume: a hash tree, its root hash, and perhaps a
// signature of that.
type seal struct {
	tree   io.ReaderAt // the hash area
	file   *os.File    // where that is
	offset int64
	size   int64
	beside *os.File // file, if it is to be closed

	root      []byte
	signature []byte // PKCS#7, nil without one
}

func (s *seal) close() {
	if s.beside != nil {
		s.beside.Close()
	}
}

// findSeal finds what protects a volume, nil if nothing does. Which root hash
// counts is systemd's choice: one beside the image, else that of the signature
// partition, else what the UUIDs of the partitions make (dissect-image.c,
// verity_settings_load, dissected_image_load_verity_sig_partition and
// dissected_image_guess_verity_roothash).
func (r *run) findSeal(m *image.Image, v image.Volume) (s *seal, rule string, err error) {
	beside := m.Beside
	if r.opts.Verity.NoSidecar || beside.RootHash != "" && beside.Role != v.Role() {
		beside = image.Sidecar{}
	}
	switch {
	case m.Table == nil:
		return sealBeside(beside)
	case beside.Tree != "":
		return nil, RuleVerity, fmt.Errorf("%s belongs to a bare file system, and the image has a partition table: %w", beside.Tree, fault.ErrCorrupt)
	case v.Hash == nil:
		return nil, "", nil
	}
	s = &seal{tree: m.Section(v.Hash), file: m.File(), offset: v.Hash.Span.Offset, size: v.Hash.Span.Length}
	if beside.RootHash != "" {
		if s.root, err = beside.Root(); err != nil {
			return nil, RuleVerity, fmt.Errorf("%s: %w", beside.From, err)
		}
	}
	if rule, err := s.readSignature(r, m, v, beside); err != nil {
		return nil, rule, err
	}
	if s.root == nil && !r.opts.Verity.NoGuess {
		s.root = v.RootHash()
	}
	if s.root == nil {
		return nil, "", nil // nothing to check against: the policy allowed that
	}
	return s, "", nil
}

// sealBeside is findSeal for a bare file system.
func sealBeside(beside image.Sidecar) (s *seal, rule string, err error) {
	if beside.Tree == "" || beside.RootHash == "" || beside.Role != dps.Root {
		return nil, "", nil
	}
	s = &seal{}
	if s.root, err = beside.Root(); err != nil {
		return nil, RuleVerity, fmt.Errorf("%s: %w", beside.From, err)
	}
	if beside.Signature != "" {
		if s.signature, err = smallfile.Read(beside.Signature, signature.MaxPartition); err != nil {
			return nil, RuleSignature, err
		}
	}
	if s.beside, err = openRegular(beside.Tree); err != nil {
		return nil, RuleVerity, err
	}
	s.file, s.tree = s.beside, s.beside
	s.size, err = s.beside.Seek(0, io.SeekEnd)
	return s, RuleVerity, err
}

// readSignature takes the signature from beside the image or from its partition.
func (s *seal) readSignature(r *run, m *image.Image, v image.Volume, beside image.Sidecar) (rule string, err error) {
	if beside.Signature != "" && beside.RootHash != "" {
		s.signature, err = smallfile.Read(beside.Signature, signature.MaxPartition)
		return RuleSignature, err
	}
	if v.Signature == nil || r.opts.Verity.NoEmbedded {
		return "", nil
	}
	if v.Signature.Span.Length > signature.MaxPartition {
		return RuleSignature, fmt.Errorf("%s has %d bytes, at most %d are read: %w", v.Signature.Name(), v.Signature.Span.Length, signature.MaxPartition, fault.ErrUnsupported)
	}
	content := make([]byte, v.Signature.Span.Length)
	if _, err := m.Section(v.Signature).ReadAt(content, 0); err != nil && err != io.EOF {
		return RuleSignature, err
	}
	parsed, err := signature.Parse(content)
	if err != nil {
		return RuleSignature, fmt.Errorf("%s: %w", v.Signature.Name(), err)
	}
	if s.root != nil && string(s.root) != string(parsed.RootHash) {
		return RuleSignature, fmt.Errorf("%s is for root hash %x, %s has %x: %w", v.Signature.Name(), parsed.RootHash, beside.From, s.root, fault.ErrUntrusted)
	}
	s.root, s.signature = parsed.RootHash, parsed.PKCS7
	return "", nil
}

// mountSealed mounts a volume through dm-verity.
func (r *run) mountSealed(l *layer, s *seal, data *loop.Device, kind image.Kind, target string, allowed policy.Flags) (rule string, err error) {
	params, err := verity.ReadSuperblock(s.tree, s.size)
	if err != nil {
		return RuleVerity, fmt.Errorf("hash tree: %w", err)
	}
	hash, err := r.k.loop(s.file, loop.Options{Offset: s.offset, Size: s.size})
	if err != nil {
		return RuleMount, err
	}
	defer hash.Close()
	v, rule, err := r.newVolume(s, params, data, hash)
	if err != nil {
		return rule, err
	}
	device, rule, err := r.activate(l, v, s, allowed)
	if err != nil {
		return rule, err
	}
	defer device.Close()
	if err := r.mountDevice(device.Name(), kind, target); err != nil {
		if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.EINVAL) {
			return RuleVerity, fmt.Errorf("the content does not fit root hash %x, or is no %s: %w", s.root, kind, err)
		}
		return RuleMount, err
	}
	return "", nil
}

// volume is a dm-verity device to be made.
type volume struct {
	name  string
	uuid  string
	table dm.Table
}

// newVolume names the device as systemd does, so that both can use the same one:
// by the root hash.
func (r *run) newVolume(s *seal, p verity.Params, data, hash *loop.Device) (v volume, rule string, err error) {
	if p.DataSize() <= 0 || int64(len(s.root)) != int64(p.Algorithm.Size()) {
		return v, RuleVerity, fmt.Errorf("root hash has %d bytes, the hash tree is made with %s: %w", len(s.root), p.Algorithm, fault.ErrCorrupt)
	}
	dataDev, err1 := rdev(data.File)
	hashDev, err2 := rdev(hash.File)
	if err := errors.Join(err1, err2); err != nil {
		return v, RuleMount, err
	}
	salt := "-"
	if len(p.Salt) > 0 {
		salt = hex.EncodeToString(p.Salt)
	}
	v.name = fmt.Sprintf("%x-verity", s.root)
	if r.opts.Verity.NoSharing {
		v.name = filepath.Base(data.Name()) + "-verity"
	}
	v.table = dm.Table{Target: "verity", Size: p.DataSize(), Params: fmt.Sprintf("%d %s %s %d %d %d 1 %s %x %s",
		p.HashType, dataDev, hashDev, p.DataBlockSize, p.HashBlockSize, p.DataBlocks, p.Algorithm, s.root, salt)}
	v.uuid = fmt.Sprintf("CRYPT-VERITY-%x-%s", p.UUID, v.name)
	return v, "", nil
}

// activate makes the device, once it is clear that it may be used: the kernel's
// own keys are asked first, then the certificates in verity.d, as systemd does
// (dissect-image.c, do_crypt_activate_verity).
func (r *run) activate(l *layer, v volume, s *seal, allowed policy.Flags) (device *os.File, rule string, err error) {
	if s.signature == nil || !allowed.Has(policy.Signed) || r.opts.Verity.NoSignature {
		if !allowed.Has(policy.Verity) {
			return nil, RulePolicy, fmt.Errorf("image policy: has no signature that counts, must have one: %w", fault.ErrUntrusted)
		}
		device, err = r.makeDevice(v, nil)
		return device, RuleVerity, err
	}
	device, kernelErr := r.makeDevice(v, s.signature)
	if kernelErr == nil {
		return device, "", nil
	}
	// What is no signature at all systemd does not take for a missing one.
	if err := signature.CheckDetached(s.signature); err != nil {
		return nil, RuleSignature, err
	}
	if _, err := r.vouch(s); err != nil {
		if !allowed.Has(policy.Verity) {
			return nil, RuleSignature, fmt.Errorf("%w; nor does the kernel take it: %w", err, kernelErr)
		}
		r.notice(Warning, fmt.Sprintf("%s: its signature does not count (%v), but the image policy takes it without one.", l.Name, err))
	}
	device, err = r.makeDevice(v, nil)
	return device, RuleVerity, err
}

// vouch returns who of those in verity.d signed the root hash.
func (r *run) vouch(s *seal) (who string, err error) {
	if r.opts.Verity.NoUserspace {
		return "", fmt.Errorf("certificates in verity.d do not count here: %w", fault.ErrUntrusted)
	}
	if r.anchors == nil {
		list, err := signature.Trust(r.opts.Root)
		if err != nil {
			return "", err
		}
		r.anchors = signature.Certificates(list)
	}
	if len(r.anchors) == 0 {
		return "", fmt.Errorf("there is no certificate in verity.d: %w", fault.ErrUntrusted)
	}
	certificate, err := signature.VerifyDetached(s.root, s.signature, r.anchors)
	if err != nil {
		return "", err
	}
	return certificate.Subject.String(), nil
}

// makeDevice makes the device, or takes the one that is there. It is open, and
// goes when nobody has it open or mounted any more.
func (r *run) makeDevice(v volume, pkcs7 []byte) (*os.File, error) {
	if pkcs7 != nil {
		description := "sextant:" + v.name
		v.table.Params += " 2 root_hash_sig_key_desc " + description
		var device *os.File
		err := keyring.With(description, pkcs7, func() (err error) {
			device, err = r.makeDevice(v, nil)
			return err
		})
		return device, err
	}
	device, err := r.createDevice(v)
	if !errors.Is(err, syscall.EBUSY) {
		return device, err
	}
	if device, err = r.shareDevice(v); err == nil {
		return device, nil
	}
	// Somebody else has the name for something else, or is about to make or
	// remove the device.
	fields := strings.Fields(v.table.Params)
	v.name = "sextant-" + strings.ReplaceAll(fields[1], ":", "-") + "-verity"
	v.uuid = "CRYPT-VERITY-" + strings.Repeat("0", 32) + "-" + v.name
	return r.createDevice(v)
}

// createDevice makes a new device. Until it is sure to vanish by itself a file
// on the host tells of it.
func (r *run) createDevice(v volume) (device *os.File, err error) {
	forget, err := r.remember(v.name)
	if err != nil {
		return nil, err
	}
	if err := r.k.call("dm_create", v.name, func() error { return dm.Create(v.name, v.uuid) }); err != nil {
		return nil, errors.Join(err, forget())
	}
	device, err = r.startDevice(v)
	if err != nil {
		removed := must(func() error {
			return r.k.call("dm_remove", v.name, func() error { return dm.Remove(v.name, false) })
		})
		if removed == nil {
			removed = forget()
		}
		return nil, errors.Join(err, removed)
	}
	return device, forget()
}

func (r *run) startDevice(v volume) (*os.File, error) {
	if err := r.k.call("dm_load", v.name, func() error { return dm.Load(v.name, v.table) }); err != nil {
		return nil, err
	}
	if err := r.k.call("dm_resume", v.name, func() error { return dm.Resume(v.name) }); err != nil {
		return nil, err
	}
	status, found, err := dm.Look(v.name)
	if err != nil || !found {
		return nil, errors.Join(err, errors.New("device mapper device vanished"))
	}
	device, err := r.openNode(status.Node)
	if err != nil {
		return nil, err
	}
	err = r.k.call("dm_remove_deferred", v.name, func() error { return dm.Remove(v.name, true) })
	if err != nil {
		device.Close()
		return nil, err
	}
	return device, nil
}

// openNode opens a device that the kernel has just made, which may take a moment
// to show.
func (r *run) openNode(path string) (*os.File, error) {
	timeout := r.opts.Verity.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	for end := time.Now().Add(timeout); ; time.Sleep(time.Millisecond) {
		device, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if !missing(err) && !errors.Is(err, syscall.ENXIO) || time.Now().After(end) {
			return device, err
		}
	}
}

// shareDevice opens a device that somebody made for the same root hash, under
// the same conditions. While it is open it stays.
func (r *run) shareDevice(v volume) (*os.File, error) {
	status, found, err := dm.Look(v.name)
	if err != nil || !found || !status.Active || !strings.HasPrefix(status.UUID, "CRYPT-VERITY-") {
		return nil, errors.Join(err, fmt.Errorf("device mapper device %s is not one of dm-verity", v.name))
	}
	device, err := os.OpenFile(status.Node, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	table, err := dm.ReadTable(v.name)
	if err == nil && !sameVolume(table, v.table) {
		err = fmt.Errorf("device mapper device %s has another table: %s", v.name, table.Params)
	}
	if err == nil {
		err = r.k.call("dm_remove_deferred", v.name, func() error { return dm.Remove(v.name, true) })
	}
	if err != nil {
		device.Close()
		return nil, err
	}
	return device, nil
}

// sameVolume compares what does not depend on which loop devices are below: root
// hash and salt, sizes, and whether the kernel checked a signature.
func sameVolume(a, b dm.Table) bool {
	const signed = "root_hash_sig_key_desc"
	x, y := strings.Fields(a.Params), strings.Fields(b.Params)
	if a.Target != b.Target || a.Size != b.Size || len(x) < 10 || len(y) < 10 {
		return false
	}
	for _, i := range []int{0, 3, 4, 5, 7, 8, 9} {
		if x[i] != y[i] {
			return false
		}
	}
	return strings.Contains(a.Params, signed) == strings.Contains(b.Params, signed)
}

// remember notes on the host that a device is being made; forget takes that back.
func (r *run) remember(name string) (forget func() error, err error) {
	path := filepath.Join(r.hostWorkspace(), journalPrefix+name)
	if err := r.k.write(path, ""); err != nil {
		return nil, err
	}
	return func() error {
		return must(func() error { return ignoreMissing(r.k.removeAll(path)) })
	}, nil
}

// journalPrefix begins the names of the files that tell of devices.
const journalPrefix = "verity."

// removeDevices removes the devices that a killed run was making.
func (r *run) removeDevices() error {
	entries, err := os.ReadDir(workspace)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), journalPrefix)
		if !ok {
			continue
		}
		status, found, err := dm.Look(name)
		if err != nil {
			return err
		}
		if found && status.Open == 0 && !status.Deferred {
			if err := r.k.call("dm_remove", name, func() error { return dm.Remove(name, false) }); err != nil {
				return err
			}
		}
		if err := r.k.removeAll(filepath.Join(workspace, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// hostWorkspace is the directory that the workspace covers, as seen from inside
// the namespace.
func (r *run) hostWorkspace() string { return fmt.Sprintf("/proc/self/fd/%d", r.lock.Fd()) }

func rdev(f *os.File) (string, error) {
	found, err := f.Stat()
	if err != nil {
		return "", err
	}
	return rdevOf(found), nil
}

// notice tells what a user should know.
func (r *run) notice(level Level, text string) {
	r.report.Notices = append(r.report.Notices, text)
	r.opts.log(level, text)
}
