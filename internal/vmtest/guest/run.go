package guest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// RunScript runs the script of the test and hands back what it left. Where the
// script does not end well the journal of this boot goes along.
func RunScript(seconds int) error {
	if err := os.RemoveAll(ResultsDir); err != nil { // of the boot before
		return err
	}
	if err := os.MkdirAll(ResultsDir, 0o755); err != nil {
		return err
	}
	bash := []string{"/bin/bash", "-e", "-u", "-o", "pipefail", ScriptPath}
	ended := runFor(seconds, bash, append(os.Environ(), "RESULTS="+ResultsDir, "VMTEST=1", "HOME=/root"))
	var journal []byte
	if ended.status != 0 {
		journal, _ = exec.Command("journalctl", "-b", "--no-pager", "-o", "short-monotonic").CombinedOutput()
	}
	return ended.send(journal)
}

// runProgram runs the program of a test that needs no more than a kernel, hands
// back what it left and turns the machine off.
func runProgram(config Config) error {
	if err := unpackInputs(); err != nil {
		return err
	}
	for _, dir := range []string{"/tmp", "/run", ResultsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	program := append([]string{ProgramPath}, config.Program...)
	if err := runFor(config.Seconds, program, []string{"RESULTS=" + ResultsDir, "VMTEST=1", "HOME=/"}).send(nil); err != nil {
		return err
	}
	syscall.Sync()
	return syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

// ended is what is known of a program that has ended.
type ended struct {
	status         int
	stdout, stderr bytes.Buffer
}

// runFor runs a program in the results directory, in a process group of its
// own that is killed when the time is over. Its output shows on the console
// too, so that something is known of a machine that hangs.
func runFor(seconds int, argv, env []string) *ended {
	e := &ended{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = ResultsDir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second // for those that left the group and hold the pipe
	console := io.Discard
	if f, err := os.OpenFile("/dev/console", os.O_WRONLY|syscall.O_NOCTTY, 0); err == nil {
		defer f.Close()
		console = f
	}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&e.stdout, console), io.MultiWriter(&e.stderr, console)
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		e.status = TimeoutStatus
		fmt.Fprintf(&e.stderr, "vmtest: killed after %d s\n", seconds)
	case cmd.ProcessState == nil:
		e.status = 127
		fmt.Fprintf(&e.stderr, "vmtest: %v\n", err)
	case cmd.ProcessState.ExitCode() < 0:
		e.status = 128 + int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	default:
		e.status = cmd.ProcessState.ExitCode()
	}
	return e
}

// send writes the archive of results to the output disk.
func (e *ended) send(journal []byte) error {
	disk, err := openDisk(OutputSerial, os.O_WRONLY)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(disk)
	err = errors.Join(
		add(archive, StatusName, []byte(strconv.Itoa(e.status))),
		add(archive, StdoutName, e.stdout.Bytes()),
		add(archive, StderrName, e.stderr.Bytes()),
		add(archive, JournalName, journal),
		addResults(archive),
		archive.Close(),
		disk.Sync(),
		disk.Close(),
	)
	if err != nil {
		return fmt.Errorf("hand back results: %w", err)
	}
	return nil
}

func add(archive *tar.Writer, name string, content []byte) error {
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: 0o644}
	if err := archive.WriteHeader(&header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

func addResults(archive *tar.Writer) error {
	return Pack(archive, ResultsDir, ResultsName)
}
