package manager_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/google/go-cmp/cmp"

	"sextant/internal/manager"
)

// fake is a service manager. It knows the units that have an answer.
type fake struct {
	state string            // SystemState
	units map[string]string // how the job ends, or the name of a D-Bus error
	noise int               // signals about something else before each answer
	early bool              // signals come before replies
	deaf  bool              // the first call is not seen before a second one comes
	calls []string
}

// serve answers one connection.
func (f *fake) serve(t *testing.T, l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch line = strings.Trim(line, "\x00\r\n"); {
		case line == "AUTH":
			fmt.Fprint(conn, "REJECTED EXTERNAL\r\n")
		case strings.HasPrefix(line, "AUTH "):
			fmt.Fprint(conn, "OK 00000000000000000000000000000000\r\n")
		case line == "NEGOTIATE_UNIX_FD":
			fmt.Fprint(conn, "ERROR\r\n")
		case line == "BEGIN":
			f.talk(t, conn, in)
			return
		}
	}
}

func (f *fake) talk(t *testing.T, conn net.Conn, in *bufio.Reader) {
	if f.deaf {
		if _, err := in.Peek(200); err != nil {
			t.Error(err)
		}
	}
	for serial := uint32(1); ; serial += 10 {
		m, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		reply, signal := f.answer(m, serial)
		for n := range f.noise {
			s := message(dbus.TypeSignal, map[dbus.HeaderField]dbus.Variant{
				dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
				dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
				dbus.FieldMember:    dbus.MakeVariant("UnitNew"),
			}, strings.Repeat("u", n%200), dbus.ObjectPath("/org/freedesktop/systemd1/unit/"+"x"+strings.Repeat("x", n%211)))
			if err := s.EncodeTo(conn, binary.LittleEndian); err != nil {
				t.Error(err)
			}
		}
		list := []*dbus.Message{reply, signal}
		if f.early {
			list = []*dbus.Message{signal, reply}
		}
		for _, m := range list {
			if m == nil {
				continue
			}
			if err := m.EncodeTo(conn, binary.LittleEndian); err != nil {
				t.Error(err)
			}
		}
	}
}

func message(kind dbus.Type, headers map[dbus.HeaderField]dbus.Variant, body ...any) *dbus.Message {
	m := &dbus.Message{Type: kind, Headers: headers, Body: body}
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	return m
}

func (f *fake) answer(m *dbus.Message, serial uint32) (reply, signal *dbus.Message) {
	method := m.Headers[dbus.FieldMember].Value().(string)
	headers := map[dbus.HeaderField]dbus.Variant{dbus.FieldReplySerial: dbus.MakeVariant(m.Serial())}
	job := dbus.ObjectPath(fmt.Sprintf("/org/freedesktop/systemd1/job/%d", serial))
	switch {
	case method == "Ping":
		return message(dbus.TypeMethodReply, headers), nil
	case method == "Get":
		return message(dbus.TypeMethodReply, headers, dbus.MakeVariant(f.state)), nil
	case method == "Reload":
		f.calls = append(f.calls, method)
		return message(dbus.TypeMethodReply, headers), nil
	}
	unit := m.Body[0].(string)
	f.calls = append(f.calls, method+" "+unit)
	result := f.units[method+" "+unit]
	if strings.HasPrefix(result, "org.") {
		headers[dbus.FieldErrorName] = dbus.MakeVariant(result)
		return message(dbus.TypeError, headers, "no"), nil
	}
	signal = message(dbus.TypeSignal, map[dbus.HeaderField]dbus.Variant{
		dbus.FieldPath:      dbus.MakeVariant(dbus.ObjectPath("/org/freedesktop/systemd1")),
		dbus.FieldInterface: dbus.MakeVariant("org.freedesktop.systemd1.Manager"),
		dbus.FieldMember:    dbus.MakeVariant("JobRemoved"),
	}, uint32(7), job, unit, result)
	if result == "" {
		signal = nil // the job never ends
	}
	return message(dbus.TypeMethodReply, headers, job), signal
}

// apply returns what the manager was asked for, and the warnings.
func apply(t *testing.T, f *fake, w manager.Wanted) (calls, warnings []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() { f.serve(t, l); close(done) }()
	if err := manager.Apply(t.Context(), "unix:path="+path, w, func(text string) { warnings = append(warnings, text) }); err != nil {
		t.Errorf("Apply(%+v) = %v", w, err)
	}
	<-done
	return f.calls, warnings
}

func TestApply(t *testing.T) {
	const (
		noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"
		loadFailed = "org.freedesktop.systemd1.LoadFailed"
	)
	for name, test := range map[string]struct {
		fake     fake
		wanted   manager.Wanted
		calls    []string
		warnings []string
	}{
		"reload": {fake{}, manager.Wanted{Reload: true}, []string{"Reload"}, nil},
		"deaf": {
			fake{deaf: true, units: map[string]string{"RestartUnit a": "done"}},
			manager.Wanted{Reload: true, Restart: []string{"a"}}, []string{"Reload", "RestartUnit a"}, nil,
		},
		"much else": {
			fake{noise: 800, units: map[string]string{"RestartUnit a": "done"}},
			manager.Wanted{Reload: true, Restart: []string{"a"}}, []string{"Reload", "RestartUnit a"}, nil,
		},
		"restart wins": {
			fake{units: map[string]string{"RestartUnit a": "done", "ReloadOrRestartUnit b": "skipped"}},
			manager.Wanted{Reload: true, Restart: []string{"a"}, ReloadOrRestart: []string{"a", "b"}},
			[]string{"Reload", "RestartUnit a", "ReloadOrRestartUnit b"}, nil,
		},
		"signal before reply": {
			fake{early: true, units: map[string]string{"RestartUnit a": "done"}},
			manager.Wanted{Restart: []string{"a"}}, []string{"RestartUnit a"}, nil,
		},
		"gone": {
			fake{units: map[string]string{"RestartUnit a": noSuchUnit, "StopUnit a": "done", "ReloadOrRestartUnit b": loadFailed, "StopUnit b": noSuchUnit}},
			manager.Wanted{Restart: []string{"a"}, ReloadOrRestart: []string{"b"}},
			[]string{"RestartUnit a", "StopUnit a", "ReloadOrRestartUnit b", "StopUnit b"}, nil,
		},
		"fails and goes on": {
			fake{units: map[string]string{"RestartUnit a": "failed", "RestartUnit b": "org.freedesktop.systemd1.UnitMasked", "RestartUnit c": "done"}},
			manager.Wanted{Restart: []string{"a", "b", "c"}}, []string{"RestartUnit a", "RestartUnit b", "RestartUnit c"},
			[]string{"RestartUnit a: job ended as failed", "RestartUnit b: no"},
		},
		"at boot nothing is waited for": {
			fake{state: "starting", units: map[string]string{}},
			manager.Wanted{Restart: []string{"a", "b"}, InUnit: true}, []string{"RestartUnit a", "RestartUnit b"}, nil,
		},
		"in a unit later": {
			fake{state: "degraded", units: map[string]string{"RestartUnit a": "failed"}},
			manager.Wanted{Restart: []string{"a"}, InUnit: true}, []string{"RestartUnit a"}, []string{"RestartUnit a: job ended as failed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			calls, warnings := apply(t, &test.fake, test.wanted)
			if diff := cmp.Diff(test.calls, calls); diff != "" {
				t.Errorf("calls: want (-), got (+)\n%s", diff)
			}
			if diff := cmp.Diff(test.warnings, warnings); diff != "" {
				t.Errorf("warnings: want (-), got (+)\n%s", diff)
			}
		})
	}
}

func TestApplyNothing(t *testing.T) {
	if err := manager.Apply(t.Context(), "unix:path=/nowhere", manager.Wanted{}, nil); err != nil {
		t.Errorf("Apply(nothing) = %v, want nil", err)
	}
	if err := manager.Apply(t.Context(), "unix:path=/nowhere", manager.Wanted{Reload: true}, nil); err == nil {
		t.Error("Apply() without a manager = nil, want an error")
	}
}
