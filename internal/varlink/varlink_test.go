package varlink_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/varlink"
)

func service() *varlink.Service {
	return &varlink.Service{
		Vendor: "v", Product: "p", Version: "1", URL: "u",
		Interfaces: []varlink.Interface{{
			Name: "a.b", Description: "interface a.b\n\nmethod Echo(text: string) -> (text: string)\n",
			Methods: map[string]varlink.Method{
				"Echo": func(_ context.Context, c varlink.Call, reply func(any) error) error {
					var text string
					if err := varlink.Parameters(c, map[string]any{"text": &text}); err != nil {
						return err
					}
					return reply(map[string]string{"text": text})
				},
				"Count": func(_ context.Context, c varlink.Call, reply func(any) error) error {
					if !c.More {
						return varlink.ExpectedMore()
					}
					for n := range 3 {
						if err := reply(map[string]int{"n": n}); err != nil {
							return err
						}
					}
					return nil
				},
				"Nothing": func(context.Context, varlink.Call, func(any) error) error { return nil },
				"Fail":    func(context.Context, varlink.Call, func(any) error) error { return varlink.System(16, "EBUSY") },
				"Break":   func(context.Context, varlink.Call, func(any) error) error { return errors.New("broken") },
			},
		}},
	}
}

// connected returns both ends of a connection.
func connected(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if ours, err = net.Dial("unix", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

// talk sends text, in which each message ends in a semicolon, and returns what
// comes back in the same form.
func talk(t *testing.T, text string) (answer string, err error) {
	t.Helper()
	ours, theirs := connected(t)
	done := make(chan error, 1)
	go func() { done <- service().Serve(t.Context(), theirs) }()
	go func() {
		io.WriteString(ours, strings.ReplaceAll(text, ";", "\x00"))
		if strings.HasSuffix(text, ";") {
			// A last call tells that all before it were answered.
			io.WriteString(ours, "{\"method\":\"a.b.Nothing\"}\x00")
		} else {
			ours.Close()
		}
	}()
	in := bufio.NewReader(ours)
	for {
		message, err := in.ReadString(0)
		if err != nil || message == "{\"parameters\":{}}\x00" {
			ours.Close()
			return answer, <-done
		}
		answer += strings.TrimSuffix(message, "\x00") + ";"
	}
}

func TestServe(t *testing.T) {
	for call, want := range map[string]string{
		`{"method":"a.b.Echo","parameters":{"text":"<é>"}};`:                     `{"parameters":{"text":"<é>"}};`,
		`{"method":"a.b.Echo","parameters":{"text":"1"}};{"method":"a.b.Echo"};`: `{"parameters":{"text":"1"}};{"parameters":{"text":""}};`,
		`{"method":"a.b.Echo","oneway":true};`:                                   ``,
		`{"method":"a.b.Count","more":true};`:                                    `{"parameters":{"n":0},"continues":true};{"parameters":{"n":1},"continues":true};{"parameters":{"n":2}};`,
		`{"method":"a.b.Count"};`:                                                `{"error":"org.varlink.service.ExpectedMore","parameters":{}};`,
		`{"method":"a.b.Fail"};`:                                                 `{"error":"io.systemd.System","parameters":{"origin":"linux","errno":16,"errnoName":"EBUSY"}};`,
		`{"method":"a.b.Echo","parameters":{"txt":"x"}};`:                        `{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"txt"}};`,
		`{"method":"a.b.Echo","parameters":{"text":5}};`:                         `{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"text"}};`,
		`{"method":"a.b.None"};`:                                                 `{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"a.b.None"}};`,
		`{"method":"Echo"};`:                                                     `{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"Echo"}};`,
		`{"method":"org.varlink.service.GetInfo"};`:                              `{"parameters":{"vendor":"v","product":"p","version":"1","url":"u","interfaces":["a.b","org.varlink.service"]}};`,
		`{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"x.y"}};`: `{"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"x.y"}};`,
		`{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"a.b"}};`: `{"parameters":{"description":"interface a.b\n\nmethod Echo(text: string) -> (text: string)\n"}};`,
	} {
		got, err := talk(t, call)
		if got != want || err != nil {
			t.Errorf("%s\ngot  %s, %v\nwant %s", call, got, err, want)
		}
	}
}

// TestServeEnds is about clients that do not keep to the protocol.
func TestServeEnds(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "what;", "cut short": `{"method":`, "too long": strings.Repeat(" ", 1<<20+1) + ";", "broken method": `{"method":"a.b.Break"};`,
	} {
		if got, err := talk(t, text); got != "" || err == nil {
			t.Errorf("%s: %q, %v, want an error", name, got, err)
		}
	}
}

// TestServeEndsWithTheContext does not wait for a client that says nothing.
func TestServeEndsWithTheContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	_, theirs := connected(t)
	done := make(chan error, 1)
	go func() { done <- service().Serve(ctx, theirs) }()
	stop()
	if err := <-done; err != nil {
		t.Errorf("Serve() = %v, want nil", err)
	}
}

// FuzzServe never panics, whatever a client sends.
func FuzzServe(f *testing.F) {
	f.Add(`{"method":"a.b.Echo","parameters":{"text":"x"}};`)
	f.Add(`{"method":"a.b.Count","more":true};{};`)
	f.Add(`{"method":"org.varlink.service.GetInterfaceDescription","parameters":[]};`)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := talk(t, text); err != nil {
			t.Skip()
		}
	})
}
