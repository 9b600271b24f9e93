package stock

import "sextant/internal/extension"

// release is the release of systemd that this program stands in for.
const release = "262"

// versionText is what --version prints: programs read the number in the first line.
const versionText = "systemd " + release + " (sextant)\n"

const commands = `  [status]                 Show current merge status (default)
  merge                    Merge extensions into relevant hierarchies
  unmerge                  Unmerge extensions from relevant hierarchies
  refresh                  Unmerge/merge extensions again
  list                     List installed extensions

Options:
  -h --help                Show this help
     --version             Show package version
     --root=PATH           Operate relative to root PATH
     --mutable=MODE        Specify a mutability mode (yes, no, auto, import,
                           ephemeral, ephemeral-import, help)
     --image-policy=POLICY Specify disk image dissection policy
     --noexec=BOOL         Whether to mount extension overlay with noexec
     --force               Ignore version incompatibilities
     --no-reload           Do not reload the service manager
     --always-refresh=BOOL Whether to refresh when no changes were found
     --no-pager            Do not start a pager
     --no-legend           Do not show headers and footers
     --json=FORMAT         Generate JSON output (pretty, short, or off)
`

// help returns what --help prints. Scripts look for options in it.
func (p *program) help() string {
	blurb := "Merge system extension images into /usr/ and /opt/."
	if p.class == extension.Confext {
		blurb = "Merge configuration extension images into /etc/."
	}
	return "> " + p.name() + " [OPTION…] COMMAND …\n\n" + blurb + "\n\nCommands:\n" + commands +
		"\nSee the " + p.name() + "(8) man page for details.\n"
}
