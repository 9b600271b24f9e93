package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sextant/internal/customize"
	"sextant/internal/disk"
	"sextant/internal/prism"
	"sextant/internal/report"
)

const customizeHelp = `Put files, services and mounts into a base image, as its config says: YAML or
JSON in the form of Image Customizer (Prism). Nothing of the image is run, and
root is not needed. The base stays as it is; the new image is a copy of it.

Of the config sextant acts on os.additionalFiles, os.additionalDirs,
os.services, os.modules, os.overlays, os.hostname, and on the paths and the
format of input.image and output.image. Every other key is refused, with what
sextant does not do. docs/customize.schema.json describes it for editors.`

type customizeFlags struct {
	target   targetFlags
	config   string
	schema   bool
	validate bool
}

// targetFlags are those that customize and install have in common.
type targetFlags struct {
	base, output, format string
	partitions           []string
	inPlace, force, json bool
}

func newCustomize(env Env) *cobra.Command {
	var f customizeFlags
	cmd := &cobra.Command{
		Use:   "customize --image-file BASE --config-file CONFIG --output-image-file OUT",
		Short: "Put files and services into a base image by a config of Image Customizer",
		Long:  customizeHelp,
		Args:  operands(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.schema {
				return writeJSON(env.Stdout, prism.Schema())
			}
			if err := refuseOthers(cmd.Flags()); err != nil {
				return err
			}
			return f.run(cmd.Context(), env)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.config, "config-file", "", "the config")
	f.target.add(flags)
	flags.BoolVar(&f.validate, "validate", false, "check the config, what it names and the base, and write nothing")
	flags.BoolVar(&f.schema, "schema", false, "print the JSON schema of the config")
	addOthers(flags)
	return cmd
}

func (f *targetFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.base, "image-file", "", "the base: a disk in raw, qcow2, vhd or vhdx, a directory, or a tar")
	flags.StringVar(&f.output, "output-image-file", "", "the image to write")
	flags.StringVar(&f.output, "output-path", "", "the image to write")
	flags.Lookup("output-path").Hidden = true
	flags.StringVar(&f.format, "output-image-format", "", "its format, else that of the base (raw, qcow2, vhd, vhd-fixed, vhdx)")
	flags.StringArrayVar(&f.partitions, "partition", nil, "which of several root or /usr partitions: a number, PARTUUID or label")
	flags.BoolVar(&f.inPlace, "in-place", false, "change the base itself")
	flags.BoolVarP(&f.force, "force", "f", false, "write the image although the checks say that it will not work")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
}

// other is a flag of Image Customizer that sextant has no use for.
type other struct {
	name string
	why  string // why it is refused; empty where it changes nothing
}

func others() []other {
	return []other{
		{"build-dir", ""},
		{"log-level", ""},
		{"log-format", ""},
		{"log-file", ""},
		{"log-color", ""},
		{"timestamp-file", ""},
		{"setfiles-context", ""},
		{"rpm-source", "sextant does not install packages"},
		{"package-snapshot-time", "sextant does not install packages"},
		{"tools-dir", "sextant does not install packages"},
		{"image", "sextant does not download base images"},
		{"image-cache-dir", "sextant does not download base images"},
		{"cosi-compression-level", "sextant does not make COSI images"},
		{"output-selinux-policy-path", "sextant does not copy the SELinux policy out of the image"},
	}
}

// addOthers takes the flags of Image Customizer, so that its command lines
// work as they stand or say why they cannot.
func addOthers(flags *pflag.FlagSet) {
	for _, o := range others() {
		flags.StringArray(o.name, nil, "")
		flags.Lookup(o.name).Hidden = true
	}
	for _, name := range []string{"disable-telemetry", "disable-base-image-rpm-repos"} {
		flags.Bool(name, false, "")
		flags.Lookup(name).Hidden = true
	}
}

func refuseOthers(flags *pflag.FlagSet) error {
	for _, o := range others() {
		if o.why != "" && flags.Changed(o.name) {
			return usage(fmt.Errorf("--%s: %s", o.name, o.why))
		}
	}
	return nil
}

func (f customizeFlags) run(ctx context.Context, env Env) error {
	if f.config == "" {
		return usage(errors.New("customize needs --config-file"))
	}
	cfg, err := prism.Load(env.path(f.config), f.config)
	if err != nil {
		return cannot(err, "read %s", f.config)
	}
	j, err := f.target.job(env, cfg)
	if err != nil {
		return err
	}
	j.validate = f.validate
	j.plan = func(ctx context.Context, b *customize.Base) (*customize.Plan, error) {
		return customize.New(ctx, b, cfg)
	}
	return cannot(j.run(ctx), "customize %s", env.show(j.base))
}

// job is one customization.
type job struct {
	env      Env
	flags    targetFlags
	base     string
	output   customize.Output // Format is empty for that of the base
	validate bool
	findings []report.Finding // of the checks

	// plan decides what is changed.
	plan func(context.Context, *customize.Base) (*customize.Plan, error)
}

// job finds out what is read and what is written. The command line goes before
// the config.
func (f targetFlags) job(env Env, cfg *prism.Config) (*job, error) {
	j := &job{env: env, flags: f}
	j.base = pick(env, f.base, cfg, cfg.Input.Image.Path)
	if j.base == "" {
		return nil, usage(errors.New("no base image: name it with --image-file, or as input.image.path in the config"))
	}
	j.output.Path = pick(env, f.output, cfg, cfg.Output.Image.Path)
	format := f.format
	if format == "" {
		format = cfg.Output.Image.Format.Value
	}
	if format != "" {
		parsed, err := disk.ParseFormat(format)
		if err != nil {
			return nil, usage(fmt.Errorf("--output-image-format: %w", err))
		}
		j.output.Format = parsed
	}
	return j, nil
}

// pick returns the path from the command line, or else that from the config.
func pick(env Env, flag string, cfg *prism.Config, path prism.Text) string {
	switch {
	case flag != "":
		return env.path(flag)
	case path.Value == "":
		return ""
	case filepath.IsAbs(path.Value):
		return path.Value
	}
	return filepath.Join(cfg.Dir, filepath.FromSlash(path.Value))
}

func (j *job) run(ctx context.Context) error {
	if err := j.checkOutput(); err != nil {
		return err
	}
	now, err := sourceDate(j.env)
	if err != nil {
		return err
	}
	base, err := customize.OpenPath(ctx, j.base, customize.Options{Partitions: j.flags.partitions, Now: now})
	if err != nil {
		return err
	}
	defer base.Close()
	draft, err := j.begin(ctx, base)
	if err != nil {
		return err
	}
	defer draft.Discard()
	plan, err := j.plan(ctx, base)
	if err != nil {
		return err
	}
	for _, w := range plan.Warnings {
		j.env.warn(w, "")
	}
	found, err := plan.Check(ctx, j.env.Now())
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if err := j.judge(found); err != nil {
		return err
	}
	if err := j.write(ctx, plan, draft); err != nil {
		return err
	}
	for _, n := range plan.Notes {
		fmt.Fprintf(j.env.Stderr, "sextant: %s\n", n)
	}
	return j.print(plan)
}

// judge prints what the checks found. What cannot work ends it, unless the user
// is brave.
func (j *job) judge(found *report.Report) error {
	j.findings = found.Findings
	bad := 0
	for _, f := range found.Findings {
		switch {
		case f.Severity == report.Error:
			bad++
			fmt.Fprintf(j.env.Stderr, "sextant: %s\n", f)
		case f.Severity == report.Warning:
			j.env.warn(f.Place+": "+f.Text, "")
		}
	}
	if bad == 0 || j.flags.force {
		return nil
	}
	return &advised{fmt.Errorf("%d of the checks say that it will not work", bad), "--force writes it all the same"}
}

// checkOutput refuses what must not be written to.
func (j *job) checkOutput() error {
	switch {
	case !j.flags.inPlace && customize.Interrupted(j.base):
		return &advised{errors.New("a change of it was interrupted"), "sextant customize --in-place ends it first"}
	case j.validate:
		return nil
	case j.flags.inPlace && j.flags.output != "":
		return usage(errors.New("--in-place writes to the base, so --output-image-file has no use"))
	case j.flags.inPlace:
		done, err := customize.Recover(j.base)
		if done {
			j.env.warn("a change of the base that was interrupted is complete now", "")
		}
		return err
	case j.output.Path == "":
		return usage(errors.New("no output: name it with --output-image-file, or as output.image.path in the config"))
	case sameFile(j.base, j.output.Path):
		return &advised{errors.New("the output is the base"), "--in-place changes the base itself"}
	}
	return nil
}

// begin starts to copy the base, as the rest leaves room for that: a new image
// that comes to nothing never gets its name. It does nothing if no new image is
// asked for.
func (j *job) begin(ctx context.Context, base *customize.Base) (*customize.Draft, error) {
	if j.validate || j.flags.inPlace {
		return &customize.Draft{}, nil
	}
	return base.Begin(ctx, j.output)
}

func (j *job) write(ctx context.Context, plan *customize.Plan, draft *customize.Draft) error {
	switch {
	case j.validate:
		return nil
	case j.flags.inPlace:
		return plan.WriteInPlace(ctx)
	}
	return draft.Write(ctx, plan)
}

// sourceDate returns the time that everything new gets.
func sourceDate(env Env) (time.Time, error) {
	text := environMap(env.Environ)["SOURCE_DATE_EPOCH"]
	if text == "" {
		return time.Unix(defaultEpoch, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, usage(fmt.Errorf("SOURCE_DATE_EPOCH=%s is not a number of seconds", text))
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// defaultEpoch is 1980-01-01, as for images that are built.
const defaultEpoch = 315532800

// customized is what customize and install say.
type customized struct {
	Image      string           `json:"image,omitempty"`
	Base       string           `json:"base"`
	Partitions []mountResult    `json:"partitions"`
	Changes    []changeResult   `json:"changes"`
	Notes      []string         `json:"notes"`
	Warnings   []string         `json:"warnings"`
	Findings   []report.Finding `json:"findings"`
	Format     string           `json:"format,omitempty"`
}

type mountResult struct {
	Directory  string `json:"directory"`
	Partition  int    `json:"partition"`
	FileSystem string `json:"fileSystem"`
	Why        string `json:"readOnly,omitempty"`
}

type changeResult struct {
	Path string `json:"path"`
	What string `json:"what"` // file, dir, symlink ... or "removed"
	Why  string `json:"why"`
}

func (j *job) result(p *customize.Plan) customized {
	r := customized{Base: j.base, Partitions: []mountResult{}, Changes: []changeResult{}, Notes: nonNil(p.Notes), Warnings: nonNil(p.Warnings), Findings: nonNil(j.findings)}
	if !j.validate {
		r.Image, r.Format = j.written(), cmp.Or(string(j.output.Format), p.Base.Format())
	}
	for _, m := range p.Base.Mounts {
		row := mountResult{Directory: m.Dir, Partition: m.Part.Number, FileSystem: string(m.Part.Content.Kind)}
		if m.Why != nil {
			row.Why = m.Why.Error()
		}
		r.Partitions = append(r.Partitions, row)
	}
	for _, e := range p.Edits {
		what := "removed"
		if e.Node != nil {
			what = e.Node.Mode.Kind()
		}
		r.Changes = append(r.Changes, changeResult{e.Path, what, e.Why})
	}
	return r
}

// written returns the path of the image that there is now.
func (j *job) written() string {
	if j.flags.inPlace {
		return j.base
	}
	return j.output.Path
}

func (j *job) print(p *customize.Plan) error {
	r := j.result(p)
	if j.flags.json {
		return writeJSON(j.env.Stdout, r)
	}
	for _, c := range r.Changes {
		sign := "+"
		if c.What == "removed" {
			sign = "-"
		}
		fmt.Fprintf(j.env.Stdout, "%s %-8s %s\n", sign, c.What, c.Path)
	}
	done := map[bool]string{false: "wrote", true: "changed"}[j.flags.inPlace]
	if j.validate {
		_, err := fmt.Fprintf(j.env.Stdout, "%d changes, nothing is written\n", len(r.Changes))
		return err
	}
	_, err := fmt.Fprintf(j.env.Stdout, "%s %s, %d changes\n", done, j.env.show(j.written()), len(r.Changes))
	return err
}

// sameFile reports whether two paths lead to one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
