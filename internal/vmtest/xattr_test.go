package vmtest_test

import "syscall"

func setNote(file, note string) error {
	return syscall.Setxattr(file, "user.note", []byte(note), 0)
}
