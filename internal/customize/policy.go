package customize

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/prism"
)

// The releases of systemd that brought a way to ask for signatures.
const (
	policyOption = 254 // --image-policy= of systemd-sysext
	policyFile   = 259 // ImagePolicy= in sysext.conf
)

// strictPolicy takes data partitions only with a signature.
func strictPolicy(class extension.Class) string {
	if class == extension.Confext {
		return "root=signed+absent:=ignore"
	}
	return "root=signed+absent:usr=signed+absent:=ignore"
}

// requireSigned makes the base merge only what is signed, in the form that its
// systemd takes: a setting from 259 on, before that a drop-in for the unit that
// merges at boot.
func (p *planner) requireSigned(class extension.Class) error {
	release := p.system.systemd
	switch {
	case release == 0:
		return fmt.Errorf("--require-signed: the release of systemd in the base is not known: %w", fault.ErrUnsupported)
	case release < policyOption:
		return &advised{
			fmt.Errorf("--require-signed: systemd %d of the base has no image policies, they came with %d: %w", release, policyOption, fault.ErrUnsupported),
			"systemd before 259 refuses an image whose signature no certificate vouches for, but takes one without signature",
		}
	case release < policyFile:
		return p.policyDropIn(class)
	}
	section := map[extension.Class]string{extension.Sysext: "SysExt", extension.Confext: "ConfExt"}[class]
	p.addText(fmt.Sprintf("/etc/systemd/%s.conf.d/50-sextant.conf", class),
		fmt.Sprintf("[%s]\nImagePolicy=%s\n", section, strictPolicy(class)))
	p.warn(prism.Pos{}, "--require-signed: systemd merges directories and subvolumes under any image policy")
	return nil
}

// addText adds a text file to the config.
func (p *planner) addText(name, text string) {
	p.cfg.OS.AdditionalFiles = append(p.cfg.OS.AdditionalFiles, prism.AdditionalFile{
		Content: prism.Text{Value: text, Pos: commandLine()}, Destination: prism.Text{Value: name},
	})
}

// policyDropIn adds the policy to what the units of the class run at boot.
func (p *planner) policyDropIn(class extension.Class) error {
	units := []string{serviceOf(class) + ".service"}
	for _, name := range []string{serviceOf(class) + "-initrd.service", serviceOf(class) + "-sysroot.service"} {
		if p.exists("/usr/lib/systemd/system/" + name) {
			units = append(units, name)
		}
	}
	for _, unit := range units {
		text, err := p.unitText(unit)
		if err != nil {
			return fmt.Errorf("--require-signed: %w", err)
		}
		p.addText("/etc/systemd/system/"+unit+".d/50-sextant.conf", withPolicy(text, class))
	}
	p.warn(prism.Pos{}, "--require-signed: with systemd %d of the base the policy binds what is merged at boot; "+
		"systemd-%s by hand takes any image, and directories are merged under any policy", p.system.systemd, class)
	return nil
}

func (p *planner) unitText(name string) (string, error) {
	for _, dir := range []string{"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"} {
		text, err := p.root.ReadFile(path.Join(dir, name))
		if err == nil {
			return string(text), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("unit %s: %w", name, fs.ErrNotExist)
}

// withPolicy returns the drop-in that runs the same commands with the policy. A
// list of commands begins anew after an empty one.
func withPolicy(unit string, class extension.Class) string {
	var out strings.Builder
	out.WriteString("# Merge only what is signed.\n[Service]\n")
	for _, key := range []string{"ExecStart", "ExecReload"} {
		first := true
		for line := range strings.Lines(unit) {
			command, ok := strings.CutPrefix(strings.TrimSpace(line), key+"=")
			if !ok {
				continue
			}
			if first {
				out.WriteString(key + "=\n")
				first = false
			}
			fmt.Fprintf(&out, "%s=%s --image-policy=%s\n", key, command, strictPolicy(class))
		}
	}
	return out.String()
}
