package stock

// sysextDescription is the interface of systemd-sysext in Varlink's language:
// names and types are those of release 262.
const sysextDescription = `interface io.systemd.sysext

type ImageClass(
	sysext,
	confext
)

type ImageType(
	directory,
	subvolume,
	raw,
	block,
	mstack
)

method Merge(
	class: ?ImageClass,
	force: ?bool,
	noReload: ?bool,
	noexec: ?bool,
	allowInteractiveAuthentication: ?bool
) -> ()

method Unmerge(
	class: ?ImageClass,
	noReload: ?bool,
	allowInteractiveAuthentication: ?bool
) -> ()

method Refresh(
	class: ?ImageClass,
	force: ?bool,
	noReload: ?bool,
	alwaysRefresh: ?bool,
	noexec: ?bool,
	allowInteractiveAuthentication: ?bool
) -> ()

# [Requires 'more' flag]
method List(
	class: ?ImageClass,
	allowInteractiveAuthentication: ?bool
) -> (
	Class: ImageClass,
	Type: ImageType,
	Name: string,
	Path: ?string,
	ReadOnly: bool,
	CreationTimestamp: ?int,
	ModificationTimestamp: ?int,
	Usage: ?int,
	UsageExclusive: ?int,
	Limit: ?int,
	LimitExclusive: ?int
)

error NoImagesFound()

error AlreadyMerged(
	hierarchy: string
)
`

// notifyDescription is the interface that systemd-sysupdate calls.
const notifyDescription = `interface io.systemd.SysUpdate.Notify

type Resource(
	transfer: string,
	path: ?string
)

method OnCompletedUpdate(
	component: ?string,
	version: ?string,
	resources: ?[]Resource
) -> ()
`

// errorsDescription names the errors of the system.
const errorsDescription = `interface io.systemd

error Disconnected()

error TimedOut()

error Protocol()

error System(
	origin: ?string,
	errnoName: ?string,
	errno: ?int
)
`
