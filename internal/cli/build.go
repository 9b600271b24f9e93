package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"sextant/internal/build"
	"sextant/internal/config"
	"sextant/internal/payload"
	"sextant/internal/plain"
	"sextant/internal/plan"
	"sextant/internal/source"
)

const buildHelp = `Build the extension image that DIR/mkosi.conf describes.

Every setting is also a flag, and flags win over files. An image that exists is
left alone; --force builds it again.`

type buildFlags struct {
	directory      string
	force          bool
	summary, plan  bool
	json           bool
	passphraseFile string
	settings       []config.Flag
}

func newBuild(env Env) *cobra.Command {
	var f buildFlags
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Build the image that mkosi.conf describes",
		Long:  buildHelp,
		Args:  operands(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// -C is a change of directory, as in mkosi, make and git; an
			// argument only says where the configuration is.
			env.Dir = env.path(f.directory)
			return f.run(cmd.Context(), env, append(args, ".")[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.directory, "directory", "C", "", "work in this directory")
	flags.BoolVarP(&f.force, "force", "f", false, "replace an image that exists")
	flags.BoolVar(&f.summary, "summary", false, "print the configuration in force, and build nothing")
	flags.BoolVar(&f.plan, "plan", false, "print every size, offset, id and name, and build nothing")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "file with the passphrase of the key")
	addSettings(flags, &f.settings)
	return cmd
}

func (f buildFlags) run(ctx context.Context, env Env, dir string) error {
	cfg, err := config.Load(config.Source{
		Dir: env.path(dir), WorkDir: env.Dir, Flags: f.settings,
		Environ: environMap(env.Environ), Host: config.DetectHost("/"),
	})
	if err != nil {
		return cannot(err, "read the configuration")
	}
	for _, w := range cfg.Warnings {
		env.warn(w.Error(), w.Hint())
	}
	if f.summary {
		return f.printSummary(env, cfg)
	}
	b := &builder{env: env, cfg: cfg, flags: f, output: outputOf(cfg)}
	return cannot(b.run(ctx), "build %s", cfg.Output)
}

// builder is one run of the verb.
type builder struct {
	env    Env
	cfg    *config.Config
	flags  buildFlags
	output build.Output
}

func (b *builder) run(ctx context.Context) error {
	if path, ok, err := b.output.Existing(); err != nil {
		return err
	} else if ok && !b.flags.force && !b.flags.plan {
		fmt.Fprintf(b.env.Stderr, "sextant: %s exists already, nothing is built (--force builds it again)\n", b.env.show(path))
		return nil
	}
	signing, err := b.signing()
	if err != nil {
		return err
	}
	spool := source.NewSpool("")
	defer spool.Close()
	p, err := b.plan(ctx, spool)
	if err != nil {
		return err
	}
	if b.flags.plan {
		return b.printPlan(p)
	}
	return b.write(ctx, p, signing)
}

// plan reads the sources and decides everything about the image.
func (b *builder) plan(ctx context.Context, spool *source.Spool) (*plan.Plan, error) {
	definitions, err := b.definitions()
	if err != nil {
		return nil, err
	}
	load, err := payload.Assemble(ctx, recipeOf(b.cfg), source.Options{Xattrs: xattrsOf(b.cfg), Spool: spool})
	if err != nil {
		return nil, err
	}
	for _, n := range load.Notices {
		b.env.warn(n, "")
	}
	p, err := plan.New(load.Tree, definitions, planOptions(b.cfg))
	if err != nil {
		return nil, err
	}
	if n := len(p.LeftOut); n > 0 {
		b.env.warn(fmt.Sprintf("the partition definitions leave out %d files: %s", n, payload.SomeOf(p.LeftOut)), "")
	}
	if p.SectorSize != 512 {
		b.env.warn(fmt.Sprintf("sectors of %d bytes: systemd 252 cannot use the image", p.SectorSize), "")
	}
	for _, path := range p.Summary.SetID {
		b.env.warn(path+" is setuid or setgid", "")
	}
	return p, nil
}

// write carries the plan out and says what was made.
func (b *builder) write(ctx context.Context, p *plan.Plan, signing *build.Signing) error {
	manifest, err := manifestOf(b.cfg, p)
	if err != nil {
		return err
	}
	b.output.Manifest = manifest
	files, err := b.output.Create()
	if err != nil {
		return err
	}
	defer files.Discard()
	progress := newProgress(b.env, "writing")
	written, err := build.Write(ctx, files.Image(), p, build.Options{Signing: signing, Progress: progress.report})
	progress.clear()
	if err != nil {
		return err
	}
	paths, err := files.Commit(p, written)
	if err != nil {
		return err
	}
	return b.printResult(newResult(b, p, written, signing, paths))
}

// warn prints a warning, and a hint if there is one.
func (e Env) warn(text, hint string) {
	fmt.Fprintf(e.Stderr, "sextant: warning: %s\n", plain.Lines(text))
	if hint != "" {
		fmt.Fprintf(e.Stderr, "hint: %s\n", hint)
	}
}

func environMap(environ []string) map[string]string {
	m := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			m[name] = value
		}
	}
	return m
}

// outputOf says where the files of a build go.
func outputOf(cfg *config.Config) build.Output {
	o := build.Output{
		Directory: cfg.OutputDirectory, Name: cfg.Output, Extension: cfg.OutputExtension,
		Level: cfg.CompressLevel, Checksums: cfg.Checksum,
	}
	if cfg.CompressOutput != config.CompressNone {
		o.Compression = string(cfg.CompressOutput)
	} else if cfg.ImageID != "" && cfg.OutputExtension != "" {
		o.Alias = cfg.ImageID + "." + cfg.OutputExtension
	}
	for _, a := range cfg.SplitArtifacts {
		o.RootHash = o.RootHash || a == config.ArtifactRoothash
		o.Partitions = o.Partitions || a == config.ArtifactPartitions
	}
	return o
}

// manifestOf returns the manifest, or nil if none is asked for.
func manifestOf(cfg *config.Config, p *plan.Plan) ([]byte, error) {
	if len(cfg.ManifestFormats) == 0 {
		return nil, nil
	}
	release, err := releaseOf(p)
	if err != nil {
		return nil, err
	}
	name := cfg.ImageID
	if name == "" {
		name = "image"
	}
	return build.Manifest{
		Name: name, Distribution: cfg.Distribution, Architecture: string(cfg.Architecture),
		Format: cfg.Format.String(), Version: cfg.ImageVersion, Release: cfg.Release, Extension: release,
	}.Marshal(), nil
}
