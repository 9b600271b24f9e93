package cli

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/pkcs7"
	"sextant/internal/ids"
	"sextant/internal/seal"
	"sextant/internal/signature"
)

const signHelp = `Add the signature to an image that was built with Verity=defer, by sextant or by
mkosi. The signature comes from one of

  --key FILE         a private key
  --signature FILE   a signature made elsewhere: PKCS#7 (PEM or DER) of the root
                     hash in hexadecimal without newline, or a raw one over its
                     SHA-256
  --signer COMMAND   a program: the root hash on its standard input, a signature
                     of either form on its standard output (see docs/signing.md)

and is verified with --certificate before anything is written.`

type signFlags struct {
	key, certificate, signature, signer string
	passphraseFile, seed                string
	noCertificate                       bool
	force, json                         bool
}

func newSign(env Env) *cobra.Command {
	var f signFlags
	cmd := &cobra.Command{
		Use:   "sign IMAGE",
		Short: "Add the signature to an image built with Verity=defer",
		Long:  signHelp,
		Args:  operands(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.certificate, "certificate", "", "the signer's certificate")
	flags.StringVar(&f.key, "key", "", "private key to sign with")
	flags.StringVar(&f.passphraseFile, "passphrase-file", "", "file with the passphrase of the key")
	flags.StringVar(&f.signature, "signature", "", "file with a signature made elsewhere")
	flags.StringVar(&f.signer, "signer", "", "command that signs")
	flags.BoolVar(&f.noCertificate, "no-certificate", false, "leave the certificate out of the signature")
	flags.StringVar(&f.seed, "seed", "", "the Seed= that the image was built with")
	flags.BoolVarP(&f.force, "force", "f", false, "replace a signature that is there")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

func (f signFlags) run(ctx context.Context, env Env, path string) error {
	opts, err := f.options(ctx, env)
	if err != nil {
		return err
	}
	done, err := seal.Seal(ctx, env.path(path), opts)
	if err != nil {
		return cannot(withSignHint(err), "sign %s", path)
	}
	return f.print(env, path, done)
}

// options checks that exactly one way to sign is asked for.
func (f signFlags) options(ctx context.Context, env Env) (seal.Options, error) {
	ways := 0
	for _, given := range []string{f.key, f.signature, f.signer} {
		if given != "" {
			ways++
		}
	}
	if ways != 1 {
		return seal.Options{}, usage(errors.New("sign needs one of --key, --signature and --signer"))
	}
	if f.certificate == "" {
		return seal.Options{}, usage(errors.New("sign needs --certificate"))
	}
	opts := seal.Options{Force: f.force}
	if f.seed != "" {
		guid, err := gpt.ParseGUID(f.seed)
		if err != nil {
			return opts, usage(fmt.Errorf("--seed: %w", err))
		}
		opts.Seed = (*ids.Seed)(&guid)
	}
	var err error
	opts.Sign, err = f.maker(ctx, env)
	return opts, cannot(err, "sign")
}

// maker returns what makes the content of the signature partition.
func (f signFlags) maker(ctx context.Context, env Env) (func([]byte) ([]byte, error), error) {
	certificate, err := readCertificate(env, env.path(f.certificate))
	if err != nil {
		return nil, err
	}
	options := pkcs7.Options{NoCertificate: f.noCertificate}
	if f.signature != "" {
		made, err := os.ReadFile(env.path(f.signature))
		if err != nil {
			return nil, err
		}
		warnOfKernel(env, made)
		return func(root []byte) ([]byte, error) {
			return signature.Assemble(root, certificate, made, options)
		}, nil
	}
	signer, err := signerFor(env, certificate, f.signer, env.path(f.key), f.passphraseFile)
	if err != nil {
		return nil, err
	}
	return func(root []byte) ([]byte, error) {
		return signature.Sign(ctx, root, certificate, signer, options)
	}, nil
}

// warnOfKernel says what about a signature made elsewhere keeps the kernel from
// taking it, although systemd's own check does.
func warnOfKernel(env Env, made []byte) {
	if block, _ := pem.Decode(made); block != nil {
		made = block.Bytes
	}
	signed, err := pkcs7.Parse(made)
	if err != nil {
		return // it is a raw signature, or Assemble will say what is wrong
	}
	for _, refusal := range signed.KernelRefusals() {
		env.warn("the kernel will refuse this signature, only systemd's check in user space takes it: "+refusal, "")
	}
}

// signResult is what sign says.
type signResult struct {
	Image     string `json:"image"`
	RootHash  string `json:"rootHash"`
	Partition string `json:"partitionUuid"`
	First     uint64 `json:"start"`
	Last      uint64 `json:"end"`
	Replaced  bool   `json:"replaced"`
}

func (f signFlags) print(env Env, path string, done *seal.Sealed) error {
	r := signResult{
		Image: path, RootHash: fmt.Sprintf("%x", done.RootHash), Partition: done.Partition.UUID.String(),
		First: done.Partition.First, Last: done.Partition.Last, Replaced: done.Replaced,
	}
	if f.json {
		return writeJSON(env.Stdout, r)
	}
	_, err := fmt.Fprintf(env.Stdout, "signed %s\nroot hash  %s\npartition  %s, sectors %d to %d\n",
		r.Image, r.RootHash, r.Partition, r.First, r.Last)
	return err
}

func withSignHint(err error) error {
	switch {
	case errors.Is(err, seal.ErrSigned):
		return &advised{err, "--force replaces the signature"}
	case errors.Is(err, fault.ErrUnsupported):
		return &advised{err, "build the image with Verity=defer"}
	}
	return err
}
