package prism

// refused maps keys that Image Customizer acts on and sextant does not to what
// that is. The names are paths from the top; a list adds "[]" to its name.
func refused() map[string]string {
	return map[string]string{
		"storage":                           "sextant does not make partitions or file systems, and does not set up verity",
		"iso":                               "sextant does not make ISO images",
		"pxe":                               "sextant does not make PXE images",
		"scripts":                           "sextant runs no scripts, as nothing of the image is run",
		"baseConfigs":                       "sextant does not read one config into another",
		"input.image.oci":                   "sextant does not download base images",
		"input.image.azureLinux":            "sextant does not download base images",
		"output.artifacts":                  "sextant does not copy boot files out of the image",
		"output.selinuxPolicyPath":          "sextant does not copy the SELinux policy out of the image",
		"output.image.cosi":                 "sextant does not make COSI images",
		"os.packages":                       "sextant does not install, remove or update packages",
		"os.selinux":                        "sextant does not change the mode of SELinux",
		"os.kernelCommandLine":              "sextant does not change the kernel command line",
		"os.groups":                         "sextant does not make groups",
		"os.users":                          "sextant does not make users",
		"os.bootloader":                     "sextant does not install or configure a boot loader",
		"os.uki":                            "sextant does not make unified kernel images",
		"os.additionalFiles[].sha256hash":   "sextant does not read the hashes of an image history",
		"os.additionalDirs[].sha256hashmap": "sextant does not read the hashes of an image history",
	}
}

// idle maps keys that change nothing of what sextant does to the values that
// they may have.
func idle() map[string][]string {
	return map[string][]string{
		// sextant leaves no history in any image.
		"os.imageHistory": {"none", ""},
	}
}
