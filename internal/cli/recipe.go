package cli

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"sextant/internal/build"
	"sextant/internal/config"
	"sextant/internal/extension"
	"sextant/internal/ids"
	"sextant/internal/keys"
	"sextant/internal/payload"
	"sextant/internal/plan"
	"sextant/internal/repart"
	"sextant/internal/signature"
	"sextant/internal/source"
)

// This file hands the configuration on to the rooms that act on it, each in
// its own words.

func identityOf(cfg *config.Config) extension.Identity {
	id := cfg.ImageID
	if id == "" {
		id = cfg.Output
	}
	return extension.Identity{
		Class: cfg.Format, ID: id, Version: cfg.ImageVersion,
		Scope: cfg.Environment[cfg.Format.Prefix()+"_SCOPE"], Architecture: string(cfg.Architecture),
	}
}

func recipeOf(cfg *config.Config) payload.Recipe {
	r := payload.Recipe{
		Extension: identityOf(cfg), Output: cfg.Output,
		RemoveFiles: cfg.RemoveFiles, Epoch: cfg.SourceDateEpoch,
		PreserveOwner: cfg.PreserveOwner, KeepEmptyDirectories: cfg.KeepEmptyDirectories,
	}
	for _, t := range cfg.ExtraTrees {
		r.Extras = append(r.Extras, source.Extra{Source: t.Source, Target: t.Target})
	}
	return r
}

func xattrsOf(cfg *config.Config) source.Xattrs {
	if cfg.PreserveXattrs == config.XattrsAll {
		return source.XattrsAll
	}
	return source.XattrsPortable
}

func planOptions(cfg *config.Config) plan.Options {
	o := plan.Options{
		Extension: identityOf(cfg), Seed: seedOf(cfg), Time: cfg.SourceDateEpoch, SectorSize: cfg.SectorSize,
	}
	if o.SectorSize == 0 {
		o.SectorSize = 512
	}
	switch cfg.VerityInForce() {
	case config.VeritySigned:
		o.Verity = plan.Signed
	case config.VerityDefer:
		o.Verity = plan.Deferred
	case config.VerityHash:
		o.Verity = plan.Unsigned
	default:
		o.Verity = plan.Unprotected
	}
	return o
}

// seedOf returns the configured seed. Without one it depends on the name
// alone, so the ids stay the same from version to version.
func seedOf(cfg *config.Config) ids.Seed {
	switch {
	case cfg.Seed.Random:
		var seed ids.Seed
		rand.Read(seed[:]) // never fails (crypto/rand)
		return seed
	case cfg.Seed.Given:
		return ids.Seed(cfg.Seed.UUID)
	}
	return ids.DefaultSeed(cfg.Format.String(), cfg.ImageID)
}

// definitions returns the partition definitions in force.
func (b *builder) definitions() ([]repart.Definition, error) {
	protected := b.cfg.VerityInForce() != config.VerityDisabled
	dirs := []repart.Directory{repart.Builtin(b.cfg.Format.String(), protected)}
	if len(b.cfg.Definitions) > 0 {
		dirs = nil
		for _, path := range b.cfg.Definitions {
			dirs = append(dirs, repart.OpenDirectory(path, b.env.show(path)))
		}
	}
	return repart.Load(dirs, b.cfg.Architecture)
}

// signing returns who signs, or nil where nothing is signed. Keys are read
// before the long work begins, so that a bad one is known at once.
func (b *builder) signing() (*build.Signing, error) {
	if b.cfg.VerityInForce() != config.VeritySigned || b.flags.plan {
		return nil, nil
	}
	certificate, err := readCertificate(b.env, b.cfg.VerityCertificate)
	if err != nil {
		return nil, err
	}
	signer, err := signerFor(b.env, certificate, b.cfg.Signer, b.cfg.VerityKey, b.flags.passphraseFile)
	if err != nil {
		return nil, err
	}
	return &build.Signing{Certificate: certificate, Signer: signer}, nil
}

// readCertificate reads a certificate and warns of what is odd about it.
func readCertificate(env Env, path string) (*x509.Certificate, error) {
	certificate, warnings, err := keys.ReadCertificate(path)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	for _, w := range append(warnings, keys.CheckValidity(certificate, env.Now())...) {
		env.warn(env.show(path)+": "+w, "")
	}
	return certificate, nil
}

// signerFor returns the command if there is one, else the key, which must be
// the certificate's.
func signerFor(env Env, certificate *x509.Certificate, command, keyPath, passphraseFile string) (signature.Signer, error) {
	if command != "" {
		return keys.Command{Line: command, Stderr: env.Stderr}, nil
	}
	passphrase, err := readPassphrase(env, passphraseFile)
	if err != nil {
		return nil, err
	}
	key, err := keys.ReadKey(keyPath, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	for _, w := range key.Warnings() {
		env.warn(env.show(keyPath)+": "+w, "")
	}
	if err := keys.MatchesKey(certificate, key.Public()); err != nil {
		return nil, fmt.Errorf("key %s: %w", env.show(keyPath), err)
	}
	return key, nil
}
