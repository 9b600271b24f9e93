package config

import (
	"slices"
	"strings"
)

// group makes settings that are not acted on, all for the same reason. A line
// is the name, the flag, and then any of
//
//	ok:no,auto       values that ask for nothing
//	file:mkosi.x     companion files
//	old:X            older names
//	--x              further flags
func group(effect Effect, section, why, instead string, lines ...string) []Setting {
	list := make([]Setting, len(lines))
	for i, line := range lines {
		words := strings.Fields(line)
		s := Setting{Section: section, Name: words[0], Flag: words[1], Effect: effect, Why: why, Instead: instead, Arg: "VALUE"}
		for _, w := range words[2:] {
			key, value, found := strings.Cut(w, ":")
			values := strings.Split(value, ",")
			switch {
			case !found:
				s.Flags = append(s.Flags, w)
			case key == "ok":
				s.Accepted = values
			case key == "file":
				s.Companions = values
			case key == "old":
				s.Old = values
			}
		}
		list[i] = s
	}
	return list
}

// idleSettings steer how mkosi works on the building machine, or what it does
// with an image that is built. None of them changes a byte of an extension.
func idleSettings() []Setting {
	return slices.Concat(idleBuildSettings(), idleRuntimeSettings())
}

func idleBuildSettings() []Setting {
	const section = "Build"
	return slices.Concat(
		group(NoEffect, section, "sextant runs no other programs", "",
			"ToolsTree --tools-tree", "ToolsTreeDistribution --tools-tree-distribution", "ToolsTreeRelease --tools-tree-release",
			"ToolsTreeProfiles --tools-tree-profile", "ToolsTreeMirror --tools-tree-mirror", "ToolsTreeSnapshot --tools-tree-snapshot",
			"ToolsTreeRepositories --tools-tree-repository",
			"ToolsTreeSandboxTrees --tools-tree-sandbox-tree --tools-tree-package-manager-tree old:ToolsTreePackageManagerTrees",
			"ToolsTreePackages --tools-tree-package", "ToolsTreePackageDirectories --tools-tree-package-directory",
			"ToolsTreeCertificates --tools-tree-certificates", "ExtraSearchPaths --extra-search-path",
			"SandboxTrees --sandbox-tree --package-manager-tree old:PackageManagerTrees",
			"MakeScriptsExecutable --make-scripts-executable", "WithTests --with-tests"),
		group(NoEffect, section, "sextant keeps nothing between builds", "",
			"Incremental --incremental", "CacheOnly --cache-only", "CacheDirectory --cache-directory --cache-dir",
			"CacheKey --cache-key", "PackageCacheDirectory --package-cache-directory --package-cache-dir",
			"BuildDirectory --build-directory --build-dir", "BuildKey --build-key", "History --history",
			"WorkspaceDirectory --workspace-directory --workspace-dir", "UseSubvolumes --use-subvolumes"),
		group(NoEffect, section, "sextant never goes to the network", "",
			"WithNetwork --with-network", "ProxyUrl --proxy-url", "ProxyExclude --proxy-exclude",
			"ProxyPeerCertificate --proxy-peer-certificate", "ProxyClientCertificate --proxy-client-certificate",
			"ProxyClientKey --proxy-client-key"),
		group(NoEffect, section, "sextant writes images without loop devices and without root", "",
			"RepartOffline --repart-offline", "ForeignUIDRange --foreign-uid-range", "DelegateRanges --delegate-ranges"),
		group(NoEffect, section, "only scripts see it, and sextant runs none", "",
			"BuildSources --build-sources", "BuildSourcesEphemeral --build-sources-ephemeral"),
		group(NoEffect, "Config", "it is for subimages, and sextant builds none", "", "PassEnvironment --pass-environment"),
	)
}

func idleRuntimeSettings() []Setting {
	return group(NoEffect, "Runtime", "it is for running an image, and sextant builds one", "",
		"NSpawnSettings --settings", "Ephemeral --ephemeral", "Credentials --credential",
		"KernelCommandLineExtra --kernel-command-line-extra", "RuntimeTrees --runtime-tree", "RuntimeSize --runtime-size",
		"RuntimeNetwork --runtime-network", "RuntimeBuildSources --runtime-build-sources", "BindUser --bind-user",
		"SshKey --ssh-key", "SshCertificate --ssh-certificate", "VirtualMachineMonitor --vmm", "Machine --machine",
		"ForwardJournal --forward-journal", "SysupdateDirectory --sysupdate-directory --sysupdate-dir", "Console --console",
		"CPUs --cpus --qemu-smp old:QemuSmp", "RAM --ram --qemu-mem old:QemuMem", "MaxMem --maxmem",
		"KVM --kvm --qemu-kvm old:QemuKvm", "CXL --cxl", "VSock --vsock --qemu-vsock old:QemuVsock",
		"VSockCID --vsock-cid --qemu-vsock-cid old:QemuVsockConnectionId", "TPM --tpm --qemu-swtpm old:QemuSwtpm",
		"Removable --removable --qemu-removable old:QemuRemovable", "DiskType --disk-type",
		"Firmware --firmware --qemu-firmware old:QemuFirmware",
		"FirmwareVariables --firmware-variables --qemu-firmware-variables old:QemuFirmwareVariables",
		"Linux --linux --qemu-kernel old:QemuKernel", "Drives --drive --qemu-drive old:QemuDrives",
		"QemuArgs --qemu-args", "Register --register", "StorageTargetMode --storage-target-mode",
	)
}

// refusedSettings are those whose image sextant cannot build.
func refusedSettings() []Setting {
	return slices.Concat(refusedPackages(), refusedScripts(), refusedTrees(), refusedBoot(), refusedSystem(), refusedSigning(), refusedOutput())
}

func refusedPackages() []Setting {
	const (
		why     = "sextant installs no packages"
		instead = "unpack what the extension needs into a directory and name it in ExtraTrees="
	)
	return slices.Concat(
		group(Refused, "Distribution", why, instead,
			"Mirror --mirror -m", "Snapshot --snapshot file:mkosi.snapshot", "LocalMirror --local-mirror",
			"RepositoryKeyCheck --repository-key-check ok:yes", "RepositoryKeyFetch --repository-key-fetch ok:no",
			"Repositories --repositories"),
		group(Refused, "Content", why, instead,
			"Packages --package -p", "BuildPackages --build-package", "VolatilePackages --volatile-package",
			"PackageDirectories --package-directory file:mkosi.packages",
			"VolatilePackageDirectories --volatile-package-directory", "WithRecommends --with-recommends ok:no",
			"WithDocs --with-docs ok:yes", "RemovePackages --remove-package",
			"CleanPackageMetadata --clean-package-metadata ok:no,auto"),
	)
}

func refusedScripts() []Setting {
	const (
		why     = "sextant runs no scripts"
		instead = "run the script before sextant and name what it makes in ExtraTrees="
	)
	return slices.Concat(
		group(Refused, "Config", why, instead, "ConfigureScripts --configure-script file:mkosi.configure"),
		group(Refused, "Output", why, instead, "CleanScripts --clean-script file:mkosi.clean,mkosi.clean.d/*"),
		group(Refused, "Content", why, instead,
			"SyncScripts --sync-script file:mkosi.sync,mkosi.sync.d/*",
			"PrepareScripts --prepare-script old:PrepareScript file:mkosi.prepare,mkosi.prepare.chroot,mkosi.prepare.d/*",
			"BuildScripts --build-script old:BuildScript file:mkosi.build,mkosi.build.chroot,mkosi.build.d/*",
			"PostInstallationScripts --postinst-script old:PostInstallationScript file:mkosi.postinst,mkosi.postinst.chroot,mkosi.postinst.d/*",
			"FinalizeScripts --finalize-script old:FinalizeScript file:mkosi.finalize,mkosi.finalize.chroot,mkosi.finalize.d/*",
			"PostOutputScripts --postoutput-script file:mkosi.postoutput,mkosi.postoutput.d/*"),
	)
}

func refusedTrees() []Setting {
	return slices.Concat(
		group(Refused, "Config", "sextant has no profiles", "use mkosi.conf.d/ with [Match] Environment=", "Profiles --profile old:Profile"),
		group(Refused, "Config", "sextant builds one image at a time", "run it once for each directory", "Dependencies --dependency"),
		group(Refused, "Content", "sextant does not build upon a base tree", "name in ExtraTrees= what the extension adds to the base",
			"BaseTrees --base-tree"),
		group(Refused, "Output", "sextant does not build upon a base tree", "name in ExtraTrees= what the extension adds to the base",
			"Overlay --overlay ok:no"),
		group(Refused, "Content", "sextant installs nothing that a skeleton could prepare", "use ExtraTrees=",
			"SkeletonTrees --skeleton-tree file:mkosi.skeleton,mkosi.skeleton.tar"),
	)
}

func refusedBoot() []Setting {
	const (
		why     = "an extension has no kernel and no boot loader of its own"
		instead = "remove it; files like kernel modules go into ExtraTrees="
	)
	return slices.Concat(
		group(Refused, "Content", why, instead,
			"Bootable --bootable ok:no,auto", "Bootloader --bootloader ok:none,systemd-boot", "BiosBootloader --bios-bootloader ok:none",
			"ShimBootloader --shim-bootloader ok:none", "UnifiedKernelImages --unified-kernel-images ok:auto,none,no",
			"UnifiedKernelImageFormat --unified-kernel-image-format",
			"UnifiedKernelImageProfiles --uki-profile file:mkosi.uki-profiles/*.conf", "Initrds --initrd",
			"MicrocodeHost --microcode-host ok:no", "InitrdProfiles --initrd-profile", "InitrdPackages --initrd-package",
			"InitrdVolatilePackages --initrd-volatile-package", "Devicetrees --devicetrees old:Devicetree", "Splash --splash",
			"KernelCommandLine --kernel-command-line", "KernelModulesInclude --kernel-modules-include",
			"KernelModulesExclude --kernel-modules-exclude", "KernelModules --kernel-modules",
			"KernelModulesIncludeHost --kernel-modules-include-host ok:no", "KernelModulesInitrd --kernel-modules-initrd ok:yes,no",
			"KernelModulesInitrdInclude --kernel-modules-initrd-include", "KernelModulesInitrdExclude --kernel-modules-initrd-exclude",
			"KernelInitrdModules --kernel-initrd-modules", "KernelModulesInitrdIncludeHost --kernel-modules-initrd-include-host ok:no",
			"FirmwareInclude --firmware-include", "FirmwareExclude --firmware-exclude", "FirmwareFiles --firmware-files",
			"MakeInitrd --make-initrd ok:no"),
		group(Refused, "Output", why, instead,
			"ElTorito --el-torito ok:no,auto", "ElToritoSystem --el-torito-system", "ElToritoVolume --el-torito-volume",
			"ElToritoPublisher --el-torito-publisher"),
		group(Refused, "Validation", why, "VerityKey= and VerityCertificate= sign an extension",
			"SecureBoot --secure-boot ok:no", "SecureBootAutoEnroll --secure-boot-auto-enroll ok:yes,no",
			"SecureBootKey --secure-boot-key", "SecureBootKeySource --secure-boot-key-source ok:file",
			"SecureBootCertificate --secure-boot-certificate", "SecureBootCertificateSource --secure-boot-certificate-source ok:file",
			"SecureBootSignTool --secure-boot-sign-tool ok:auto", "SignExpectedPcr --sign-expected-pcr ok:no,auto",
			"SignExpectedPcrKey --sign-expected-pcr-key", "SignExpectedPcrKeySource --sign-expected-pcr-key-source ok:file",
			"SignExpectedPcrCertificate --sign-expected-pcr-certificate",
			"SignExpectedPcrCertificateSource --sign-expected-pcr-certificate-source ok:file",
			"SignInitrdPCRs --sign-initrd-pcrs ok:no,auto"),
	)
}

func refusedSystem() []Setting {
	return slices.Concat(
		group(Refused, "Content", "sextant does not set up a system inside the image", "put the files it stands for into ExtraTrees=",
			"Locale --locale", "LocaleMessages --locale-messages", "Keymap --keymap", "Timezone --timezone", "Hostname --hostname",
			"RootPassword --root-password file:mkosi.rootpw", "RootShell --root-shell",
			"MachineId --machine-id file:mkosi.machine-id", "Autologin --autologin ok:no", "Ssh --ssh ok:auto,no"),
		group(Refused, "Content", "sextant computes no SELinux labels",
			"label the files with setfiles and pass --preserve-xattrs=all", "SELinuxRelabel --selinux-relabel ok:no,auto"),
	)
}

func refusedSigning() []Setting {
	return slices.Concat(
		group(Refused, "Validation", "sextant encrypts nothing", "", "Passphrase --passphrase file:mkosi.passphrase"),
		group(Refused, "Validation", "sextant runs no OpenPGP program", "sign the file that Checksum=yes writes with gpg --detach-sign",
			"Sign --sign ok:no", "Key --key", "OpenPGPTool --openpgp-tool ok:gpg"),
	)
}

func refusedOutput() []Setting {
	return slices.Concat(
		group(Refused, "Output", "sextant makes an image exactly as large as its content", "SizeMinBytes= in sysext.repart.d/ makes a partition larger",
			"OutputSize --output-size"),
		group(Refused, "Output", "sextant writes files with the mode that the umask gives", "chmod the image afterwards", "OutputMode --output-mode"),
		group(Refused, "Output", "only OCI images have it", "", "OciLabels --oci-labels", "OciAnnotations --oci-annotations"),
	)
}
