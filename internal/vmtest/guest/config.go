package guest

// Serial numbers of the disks; virtio allows 20 bytes.
const (
	RootSerial   = "vmtest-root"
	InputSerial  = "vmtest-in"
	OutputSerial = "vmtest-out"
)

// Paths in the initramfs.
const (
	ConfigPath  = "/config.json"
	ProgramPath = "/program"
)

// Paths in the root file system, outside of every directory that a system
// extension or configuration extension can cover.
const (
	Dir        = "/vmtest"
	SelfPath   = Dir + "/guest"
	ScriptPath = Dir + "/script"
	ResultsDir = Dir + "/results"
)

// Names in the archive that the guest writes.
const (
	StatusName  = "status"
	StdoutName  = "stdout"
	StderrName  = "stderr"
	JournalName = "journal"
	ResultsName = "results"
)

// TimeoutStatus is the exit status of what ran too long, as timeout(1) has it.
const TimeoutStatus = 124

// Config tells the initramfs what to do.
type Config struct {
	Modules []string // files in the initramfs, in the order to load them
	Program []string // arguments of ProgramPath; nil to boot the root disk
	Seconds int      // time the program has

	// Initrd says that systemd starts in the initramfs, and goes on to the root
	// disk by itself.
	Initrd bool `json:",omitempty"`

	// Mounts are partitions of the root disk, "/" first. Without any the whole
	// disk is the root.
	Mounts []Mount
}

// Mount is a partition to mount before the system starts.
type Mount struct {
	Dir       string
	Partition int
}
