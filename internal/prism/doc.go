// Package prism reads the configuration of Image Customizer, which is also
// called Prism: YAML, or JSON, which is YAML too.
//
//	file ─ Load ─> Config ─ every value with file, line and column
//
// The names, the forms of values and the rules between them are those of Image
// Customizer 1.6 (docs/imagecustomizer/api/configuration in its repository). What
// sextant acts on is in the structures of this package: files, directories,
// services, overlays, the hostname, kernel modules, and the paths and format of
// the image. Every other key is known by its name and refused with what
// sextant does not do, as a config that works by half is worse than one that
// does not; a key that asks for nothing (null, empty, "") is passed over.
//
// Schema gives the same as a JSON schema, for editors.
package prism
