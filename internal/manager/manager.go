// Package manager asks the service manager to read its units again, and to
// restart those that extensions name in their release files:
//
//	EXTENSION_RELOAD_MANAGER=1
//	EXTENSION_RESTART_UNITS=a.service b.service
//	EXTENSION_RELOAD_OR_RESTART_UNITS=c.service
//
// It speaks D-Bus over the manager's own socket, which is there before any bus
// is.
//
// A unit that is gone, as its extension is, is stopped. Jobs are waited for. But
// while the system starts, a job may wait for the very unit that this program
// runs in; there it is queued only. Systemd 262 waits there, for ever.
//
// Sources: org.freedesktop.systemd1(5), systemd 262 src/sysext/sysext.c
// (restart_units, dispatch_unit_method).
package manager

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
)

// Private is the D-Bus address of the manager's own socket.
const Private = "unix:path=/run/systemd/private"

const (
	name   = "org.freedesktop.systemd1"
	object = "/org/freedesktop/systemd1"
	iface  = "org.freedesktop.systemd1.Manager"

	noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
	loadFailed = "org.freedesktop.systemd1.LoadFailed"
)

// How long the manager may take: to answer at all, before it is asked again; for
// a call; to read its units; and for one job.
const (
	firstPatience  = 100 * time.Millisecond
	callPatience   = 25 * time.Second
	reloadPatience = 5 * time.Minute
	jobPatience    = 5 * time.Minute
)

// Wanted is what extensions want.
type Wanted struct {
	Reload          bool
	Restart         []string // units
	ReloadOrRestart []string

	// InUnit says that this process is the main one of a unit.
	InUnit bool
}

// Apply asks the service manager at the address for what is wanted. An error says that the
// manager could not be reached or did not reload; what goes wrong with a single
// unit is a warning.
func Apply(ctx context.Context, address string, w Wanted, warn func(string)) error {
	if !w.Reload && len(w.Restart) == 0 && len(w.ReloadOrRestart) == 0 {
		return nil
	}
	m, err := connect(address)
	if err != nil {
		return fmt.Errorf("connect to the service manager: %w", err)
	}
	defer m.conn.Close()
	m.warn = warn
	if err := m.greet(ctx); err != nil {
		return fmt.Errorf("greet the service manager: %w", err)
	}
	if w.Reload {
		if err := m.reload(ctx); err != nil {
			return fmt.Errorf("reload the service manager: %w", err)
		}
	}
	m.wait = !w.InUnit || m.started(ctx)
	m.each(ctx, w.Restart, "RestartUnit")
	for _, unit := range w.ReloadOrRestart {
		if !slices.Contains(w.Restart, unit) {
			m.each(ctx, []string{unit}, "ReloadOrRestartUnit")
		}
	}
	return nil
}

// manager is a connection to the service manager.
type manager struct {
	conn    *dbus.Conn
	object  dbus.BusObject
	signals chan *dbus.Signal
	wait    bool // for jobs
	warn    func(string)
}

func connect(address string) (*manager, error) {
	conn, err := dbus.Dial(address)
	if err != nil {
		return nil, err
	}
	if err := conn.Auth([]dbus.Auth{dbus.AuthExternal("0")}); err != nil {
		conn.Close()
		return nil, err
	}
	// The manager's own socket carries all its signals, without a match rule.
	signals := make(chan *dbus.Signal, 1024)
	conn.Signal(signals)
	return &manager{conn: conn, object: conn.Object(name, object), signals: signals}, nil
}

// greet waits until the manager answers. A call that arrives in one piece with the
// end of the authentication lies in the manager's buffer until more arrives
// (sd-bus wakes up for its socket, not for its buffer), so it gets more and more.
func (m *manager) greet(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, callPatience)
	defer stop()
	for patience := firstPatience; ; patience *= 2 {
		err := m.ping(ctx, patience)
		var answer dbus.Error
		if err == nil || errors.As(err, &answer) || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

func (m *manager) ping(ctx context.Context, patience time.Duration) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	return m.object.CallWithContext(ctx, "org.freedesktop.DBus.Peer.Ping", 0).Err
}

func (m *manager) call(ctx context.Context, patience time.Duration, method string, args ...any) *dbus.Call {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	return m.object.CallWithContext(ctx, iface+"."+method, 0, args...)
}

func (m *manager) reload(ctx context.Context) error {
	return m.call(ctx, reloadPatience, "Reload").Err
}

// started reports whether the system has started. When the manager does not
// say, it counts as not: then nothing is waited for.
func (m *manager) started(ctx context.Context) bool {
	ctx, stop := context.WithTimeout(ctx, callPatience)
	defer stop()
	var state dbus.Variant
	err := m.object.CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, iface, "SystemState").Store(&state)
	text, _ := state.Value().(string)
	return err == nil && (text == "running" || text == "degraded" || text == "maintenance")
}

func (m *manager) each(ctx context.Context, units []string, method string) {
	for _, unit := range units {
		if err := m.unit(ctx, unit, method); err != nil {
			m.warn(fmt.Sprintf("%s %s: %v", method, unit, err))
		}
	}
}

// unit starts one job and waits for it. Where the unit is gone, what runs of it
// is stopped.
func (m *manager) unit(ctx context.Context, unit, method string) error {
	var job dbus.ObjectPath
	err := m.call(ctx, callPatience, method, unit, "replace").Store(&job)
	if is(err, noSuchUnit) || is(err, loadFailed) {
		err = m.call(ctx, callPatience, "StopUnit", unit, "replace").Store(&job)
		if is(err, noSuchUnit) {
			return nil
		}
	}
	if err != nil || !m.wait {
		return err
	}
	return m.done(ctx, job)
}

// is reports whether err is the D-Bus error called name.
func is(err error, name string) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == name
}

// done waits until the job is gone. Its signal may have come before the reply.
func (m *manager) done(ctx context.Context, job dbus.ObjectPath) error {
	ctx, stop := context.WithTimeout(ctx, jobPatience)
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("job is not done: %w", ctx.Err())
		case s, open := <-m.signals:
			if !open {
				return errors.New("the service manager closed the connection")
			}
			var id uint32
			var path dbus.ObjectPath
			var unit, result string
			if s.Name != iface+".JobRemoved" || dbus.Store(s.Body, &id, &path, &unit, &result) != nil || path != job {
				continue
			}
			if result != "done" && result != "skipped" {
				return fmt.Errorf("job ended as %s", result)
			}
			return nil
		}
	}
}
