package cli

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"sextant/internal/customize"
	"sextant/internal/prism"
)

const installHelp = `Put extension images into a base image, so that they are merged when it boots:
into the right directory, under the name that every systemd takes, with the
certificates that vouch for them in /etc/verity.d, and with the service enabled.
It is what customize does with a config that says the same.

An older image with the same SYSEXT_ID in the base is replaced.

--require-signed makes the system merge only what is signed, in the form that
the base's systemd takes: a drop-in for systemd-sysext.service from 254 on, a
setting in sysext.conf.d from 259 on. Directories are merged all the same.`

type installFlags struct {
	target        targetFlags
	certificates  []string
	requireSigned bool
}

func newInstall(env Env) *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:   "install --image-file BASE --output-image-file OUT IMAGE...",
		Short: "Put extension images into a base image, to be merged when it boots",
		Long:  installHelp,
		Args:  operands(1, anyNumber),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	f.target.add(flags)
	flags.StringArrayVar(&f.certificates, "certificate", nil, "a certificate that vouches for the images")
	flags.BoolVar(&f.requireSigned, "require-signed", false, "make the system merge only what is signed")
	return cmd
}

func (f installFlags) run(ctx context.Context, env Env, images []string) error {
	if f.target.base == "" {
		return usage(errors.New("install needs --image-file"))
	}
	in := customize.Install{RequireSigned: f.requireSigned}
	for _, name := range images {
		in.Images = append(in.Images, env.path(name))
	}
	for _, name := range f.certificates {
		c, err := readCertificate(env, env.path(name))
		if err != nil {
			return cannot(err, "install %s", images[0])
		}
		in.Certificates = append(in.Certificates, customize.Certificate{Name: certificateName(name), Certificate: c})
	}
	j, err := f.target.job(env, &prism.Config{})
	if err != nil {
		return err
	}
	j.plan = func(ctx context.Context, b *customize.Base) (*customize.Plan, error) {
		return customize.NewInstall(ctx, b, in)
	}
	return cannot(j.run(ctx), "install %s", filepath.Base(images[0]))
}
