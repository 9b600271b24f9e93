package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/ini"
)

// values returns what a setting comes to as far as it has been read: the
// command line wins, or is added to a list; without any assignment it is the
// default.
func (l *loader) values(s *Setting) ([]item, error) {
	line, files := l.line[s.Name], l.files[s.Name]
	if line.some {
		if s.split == nil || line.reset || !files.some {
			return line.items, nil
		}
		return slices.Concat(files.items, line.items), nil
	}
	if !line.assigned && files.some {
		return files.items, nil
	}
	if (line.assigned || files.assigned) && s.optional || s.fallback == nil {
		return nil, nil
	}
	text, from := s.fallback(l)
	if text == "" {
		return nil, nil
	}
	e, err := s.assign(entry{}, l.place(l.dir, from), text)
	return e.items, err
}

// origin returns where a setting was assigned last, or emptied.
func (l *loader) origin(name string) Origin {
	if e := l.line[name]; e.assigned {
		return e.last
	}
	return l.files[name].last
}

// finish makes the Config of all assignments.
func (l *loader) finish() (*Config, error) {
	c := &Config{Dir: l.top, name: l.name}
	for i := range l.settings {
		s := &l.settings[i]
		if s.Effect != Works {
			continue
		}
		items, err := l.values(s)
		if err != nil {
			return nil, err
		}
		if s.reduce != nil {
			items = s.reduce(items)
		}
		s.store(c, items)
		c.reports = append(c.reports, l.report(s, items))
	}
	for _, step := range []func(*Config) error{l.format, l.names, l.environment, l.definitions, l.verity} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	if c.OutputDirectory == "" {
		c.OutputDirectory = l.workDir
		if l.workDir == l.dir {
			c.OutputDirectory = l.top
		}
		c.replace("OutputDirectory", c.OutputDirectory, Origin{})
	}
	c.Warnings = l.warnings
	return c, nil
}

// report describes a setting in force for Summary.
func (l *loader) report(s *Setting, items []item) Report {
	r := Report{Section: s.Section, Name: s.Name, Unset: s.Unset}
	if r.Section == "" {
		r.Section = ours
	}
	for _, i := range items {
		r.Values = append(r.Values, Value{i.text, i.from})
	}
	if len(items) == 0 && l.origin(s.Name).Kind != FromDefault {
		r.Values = []Value{{"", l.origin(s.Name)}}
	}
	return r
}

// replace puts a value into the report of a setting.
func (c *Config) replace(name, text string, from Origin) {
	for i, r := range c.reports {
		if r.Name == name {
			c.reports[i].Values = []Value{{text, from}}
		}
	}
}

// format checks that the format is one that can be built.
func (l *loader) format(c *Config) error {
	class, err := extension.ParseClass(c.formatName)
	if err == nil {
		c.Format = class
		return nil
	}
	from := l.origin("Format")
	const help = "write Format=sysext in the section [Output]"
	if from.Kind != FromDefault {
		return ini.Faultf(from.At, help, "%s: sextant builds sysext and confext", l.byName["Format"].written(from, c.formatName))
	}
	if path := filepath.Join(l.top, "mkosi.conf"); !l.matched {
		return ini.Faultf(ini.Position{File: l.name(path)}, "", "its [Match] does not hold, so nothing in the directory counts")
	} else if exists(path) {
		return ini.Faultf(ini.Position{File: l.name(path)}, help, "Format= is missing")
	}
	return ini.Faultf(ini.Position{}, "name the directory with -C, or pass --format=sysext",
		"no mkosi.conf in %s, and no --format=", l.src.Dir)
}

// names checks that the names of the output files fit.
func (l *loader) names(c *Config) error {
	image := c.Output
	if c.OutputExtension != "" {
		image += "." + c.OutputExtension
	}
	list := []string{image + c.CompressOutput.Extension()}
	if c.Checksum {
		list = append(list, c.Output+".SHA256SUMS")
	}
	if len(c.ManifestFormats) > 0 {
		list = append(list, c.Output+".manifest")
	}
	for _, a := range c.SplitArtifacts {
		switch a {
		case ArtifactRoothash:
			list = append(list, c.Output+".roothash")
		case ArtifactPartitions:
			list = append(list, fmt.Sprintf("%s.root-%s-verity-sig.raw", c.Output, c.Architecture))
		}
	}
	from := c.Origin("Output")
	if from.Kind == FromDefault {
		from = c.Origin("ImageId")
	}
	for _, name := range list {
		if len(name) > 255 {
			return ini.Faultf(from.At, "set a shorter Output= or ImageId=",
				"the file name %s has %d bytes, Linux allows 255", clip(name), len(name))
		}
	}
	return nil
}

// environment joins EnvironmentFiles= and Environment=, the latter winning.
func (l *loader) environment(c *Config) error {
	c.Environment = map[string]string{}
	for _, path := range c.envFiles {
		variables, err := l.envFile(path)
		if err != nil {
			return err
		}
		maps.Copy(c.Environment, variables)
	}
	for _, v := range c.variables {
		c.Environment[v.name] = v.value
	}
	return nil
}

// envFile reads a file of lines NAME=value. Lines that are empty or start with
// # do not count.
func (l *loader) envFile(path string) (map[string]string, error) {
	name := l.name(path)
	text, err := ini.ReadFile(path, name)
	if err != nil {
		return nil, err
	}
	variables := map[string]string{}
	for n, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := ini.Position{File: name, Line: n + 1}
		v, err := parseVariable(l.place(l.dir, Origin{Kind: FromCompanion, At: at}), line)
		if err != nil {
			return nil, l.byName["Environment"].fault(Origin{Kind: FromCompanion, At: at}, line, err)
		}
		variables[v.name] = v.value
	}
	return variables, nil
}

// definitions chooses the directories with partition definitions:
// RepartDirectories=, or else the one beside the configuration.
func (l *loader) definitions(c *Config) error {
	c.Definitions = c.repartDirs
	for i, path := range c.repartDirs {
		if !isDir(path) {
			from := c.reportOf("RepartDirectories").Values[i].From
			return ini.Faultf(from.At, "", "%s: not a directory", l.byName["RepartDirectories"].written(from, path))
		}
	}
	beside := filepath.Join(l.top, c.Format.String()+".repart.d")
	if !exists(beside) {
		return nil
	}
	at := ini.Position{File: l.name(beside)}
	if !isDir(beside) {
		return ini.Faultf(at, "", "not a directory")
	}
	if from := l.origin("RepartDirectories"); from.Kind != FromDefault {
		l.warn(at, "", "not read, as RepartDirectories= is set by %s", from)
		return nil
	}
	c.Definitions = []string{beside}
	c.replace("RepartDirectories", beside, Origin{Kind: FromCompanion, At: at})
	return nil
}

// verity checks that a signature can be made where one is asked for.
func (l *loader) verity(c *Config) error {
	if c.VerityInForce() != VeritySigned {
		return nil
	}
	from := l.origin("Verity")
	if c.VerityKey == "" && c.Signer == "" {
		return ini.Faultf(from.At, "sextant genkey makes a key and a certificate; without, take Verity=hash, defer or no",
			"%s needs VerityKey= or --signer", l.byName["Verity"].written(from, string(c.Verity)))
	}
	if c.VerityCertificate == "" {
		return ini.Faultf(from.At, "sextant genkey makes a key and a certificate; without, take Verity=hash, defer or no",
			"%s needs VerityCertificate=", l.byName["Verity"].written(from, string(c.Verity)))
	}
	return nil
}

func (c *Config) reportOf(name string) Report {
	for _, r := range c.reports {
		if r.Name == name {
			return r
		}
	}
	panic(fmt.Sprintf("internal error: no setting %s", name))
}
