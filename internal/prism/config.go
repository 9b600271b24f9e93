package prism

// Config is a configuration, as far as sextant acts on it. A zero Pos in a
// value says that the value was not given.
type Config struct {
	// Dir is the directory that relative paths begin at: that of the file.
	Dir string

	Input           Input     `key:"input" doc:"Where the base image comes from."`
	OS              OS        `key:"os" doc:"What is put into the base image."`
	PreviewFeatures []Feature `key:"previewFeatures" doc:"Preview features of Image Customizer. sextant needs none of them."`
	Output          Output    `key:"output" doc:"Where the new image goes."`
}

// Input says where the base image comes from.
type Input struct {
	Image InputImage `key:"image" doc:"The base image."`
}

// InputImage is the base image.
type InputImage struct {
	Path Text `key:"path" doc:"The base image file: raw, qcow2, vhd or vhdx. --image-file goes before it."`
}

// Output says where the new image goes.
type Output struct {
	Image OutputImage `key:"image" doc:"The new image."`
}

// OutputImage is the new image.
type OutputImage struct {
	Path   Text   `key:"path" doc:"The file to write. --output-image-file goes before it."`
	Format Format `key:"format" doc:"The format to write. --output-image-format goes before it; without either it is that of the base image."`
}

// OS is what is put into the base image.
type OS struct {
	Hostname        Text             `key:"hostname" doc:"What goes into /etc/hostname."`
	AdditionalFiles []AdditionalFile `key:"additionalFiles" doc:"Files to put into the image."`
	AdditionalDirs  []AdditionalDir  `key:"additionalDirs" doc:"Directories to put into the image, with everything in them."`
	Services        Services         `key:"services" doc:"Services of systemd to enable and to disable."`
	Modules         []Module         `key:"modules" doc:"Kernel modules to load or to keep from loading."`
	Overlays        []Overlay        `key:"overlays" doc:"Overlay file systems to mount at boot."`
}

// AdditionalFile is a file to put into the image.
type AdditionalFile struct {
	Pos Pos

	Source      Text `key:"source" doc:"The file to copy, relative to the config file."`
	Content     Text `key:"content" doc:"The content of the file, instead of source."`
	Destination Text `key:"destination" doc:"The path in the image."`
	Permissions Mode `key:"permissions" doc:"The permission bits in octal; those of the source without it."`
}

// AdditionalDir is a directory to put into the image.
type AdditionalDir struct {
	Pos Pos

	Source               Text `key:"source" doc:"The directory to copy, relative to the config file."`
	Destination          Text `key:"destination" doc:"The path in the image."`
	NewDirPermissions    Mode `key:"newDirPermissions" doc:"The permission bits of directories that are new in the image, else 755."`
	MergedDirPermissions Mode `key:"mergedDirPermissions" doc:"The permission bits of directories that the image has already, else as they are."`
	ChildFilePermissions Mode `key:"childFilePermissions" doc:"The permission bits of the files, else 755."`
}

// Services are units of systemd by name, a suffix being optional.
type Services struct {
	Enable  []Text `key:"enable" doc:"Units to start at boot, as by systemctl enable."`
	Disable []Text `key:"disable" doc:"Units not to start at boot, as by systemctl disable."`
}

// Module is a kernel module.
type Module struct {
	Pos Pos

	Name     Text     `key:"name" doc:"The name of the kernel module."`
	LoadMode LoadMode `key:"loadMode" doc:"always: load at boot. auto: let it be loaded when needed. disable: keep it from being loaded. inherit: as the base image has it."`
	Options  []Option `key:"options" doc:"Options of the module."`
}

// Option is one option of a kernel module.
type Option struct {
	Name, Value Text
}

// Overlay is an overlay file system.
type Overlay struct {
	Pos Pos

	MountPoint        Text   `key:"mountPoint" doc:"Where the overlay is mounted."`
	LowerDirs         []Text `key:"lowerDirs" doc:"The layers that are read only, the uppermost first."`
	UpperDir          Text   `key:"upperDir" doc:"The layer that is written to."`
	WorkDir           Text   `key:"workDir" doc:"A directory for the kernel, on the file system of upperDir."`
	IsInitrdOverlay   Bool   `key:"isInitrdOverlay" doc:"Mount it in the initrd, before the system starts."`
	MountDependencies []Text `key:"mountDependencies" doc:"What must be mounted first."`
	MountOptions      Text   `key:"mountOptions" doc:"More mount options, separated by commas."`
}
