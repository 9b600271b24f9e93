// Package loop makes block devices of files (loop(4)). A device lasts as long
// as somebody has it open or mounted, and no longer: whoever is killed leaves
// none behind.
package loop
