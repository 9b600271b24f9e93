package varlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// firstInherited is the first descriptor that a service manager hands over
// (sd_listen_fds(3)).
const firstInherited = 3

// Inherited reports whether a service manager handed a socket called "varlink"
// to this process, as the variables that lookup finds say.
func Inherited(lookup func(string) (string, bool)) bool {
	pid, _ := lookup("LISTEN_PID")
	count, _ := lookup("LISTEN_FDS")
	names, _ := lookup("LISTEN_FDNAMES")
	return pid == strconv.Itoa(os.Getpid()) && count == "1" && strings.Split(names, ":")[0] == "varlink"
}

// ServeInherited serves the socket that was handed over: one connection, or all
// that come until nobody has come for a while.
func (s *Service) ServeInherited(ctx context.Context) error {
	f := os.NewFile(firstInherited, "varlink")
	listens, err := syscall.GetsockoptInt(firstInherited, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	if err != nil {
		return fmt.Errorf("inherited socket: %w", err)
	}
	defer f.Close()
	if listens == 0 {
		conn, err := net.FileConn(f)
		if err != nil {
			return fmt.Errorf("inherited connection: %w", err)
		}
		return s.Serve(ctx, conn)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return fmt.Errorf("inherited socket: %w", err)
	}
	return s.listen(ctx, l)
}

// listen serves one connection after the other: the methods lock each other out
// anyhow.
func (s *Service) listen(ctx context.Context, l net.Listener) error {
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		if u, ok := l.(*net.UnixListener); ok {
			if err := u.SetDeadline(time.Now().Add(idle)); err != nil {
				return err
			}
		}
		conn, err := l.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.Serve(ctx, conn); err != nil {
			return err
		}
	}
}

// peer returns the user at the other end of a Unix socket.
func peer(conn net.Conn) (uid uint32, known bool) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, false
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		if c, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid, known = c.Uid, true
		}
	})
	return uid, known && err == nil
}
