// Package varlink serves methods over Varlink: messages in JSON, each with a NUL
// byte at its end, over a stream.
//
//	{"method":"org.varlink.service.GetInfo","parameters":{}}\0
//	{"parameters":{"vendor":...}}\0
//	{"error":"org.varlink.service.MethodNotFound","parameters":{"method":...}}\0
//
// A call with "more" may get several replies, all but the last with "continues"; one
// with "oneway" gets none. A client that says nothing for a while, or does not
// take its reply, is let go: nothing here waits for ever.
//
// Source: https://varlink.org, systemd 262 src/libsystemd/sd-varlink.
package varlink

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"
)

const (
	// maxMessage is the longest message that is read.
	maxMessage = 1 << 20

	// idle is how long a client may say nothing.
	idle = 5 * time.Minute

	// patience is how long a client may take to accept a reply.
	patience = 45 * time.Second
)

// Call is one call of a method.
type Call struct {
	Parameters json.RawMessage // an object, or nil
	More       bool

	// UID is the user at the other end, and Known whether that could be told.
	UID   uint32
	Known bool
}

// Error is a reply that says no. Parameters is made JSON.
type Error struct {
	Name       string
	Parameters any
}

// Error returns the name.
func (e *Error) Error() string { return e.Name }

// The errors that every service has.

// InvalidParameter says that a parameter makes no sense.
func InvalidParameter(name string) error {
	return &Error{"org.varlink.service.InvalidParameter", map[string]string{"parameter": name}}
}

// PermissionDenied says that the user may not call this.
func PermissionDenied() error { return &Error{Name: "org.varlink.service.PermissionDenied"} }

// ExpectedMore says that the method must be called with "more".
func ExpectedMore() error { return &Error{Name: "org.varlink.service.ExpectedMore"} }

// System is an error of the system, by its number and name.
func System(number int, name string) error {
	return &Error{"io.systemd.System", struct {
		Origin string `json:"origin"`
		Number int    `json:"errno"`
		Name   string `json:"errnoName"`
	}{"linux", number, name}}
}

// Method answers a call. Each value that it hands to reply is one reply, for
// which the call must have More if there are several.
type Method func(ctx context.Context, c Call, reply func(any) error) error

// Interface is a named group of methods.
type Interface struct {
	Name        string
	Description string            // in the Varlink interface definition language
	Methods     map[string]Method // by their short names
}

// Service is what is served.
type Service struct {
	Vendor, Product, Version, URL string

	Interfaces []Interface
}

// request is a message of a client.
type request struct {
	Method     string          `json:"method"`
	Parameters json.RawMessage `json:"parameters"`
	Oneway     bool            `json:"oneway"`
	More       bool            `json:"more"`
}

// answer is a message to a client.
type answer struct {
	Error      string `json:"error,omitempty"`
	Parameters any    `json:"parameters"`
	Continues  bool   `json:"continues,omitempty"`
}

// Serve answers the calls of one connection until the client closes it or the
// context ends, and closes it.
func (s *Service) Serve(ctx context.Context, conn net.Conn) error {
	err := s.serve(ctx, conn)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (s *Service) serve(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	uid, known := peer(conn)
	in := bufio.NewReaderSize(conn, 64<<10)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		message, err := readMessage(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a call: %w", err)
		}
		var r request
		if err := json.Unmarshal(message, &r); err != nil {
			return fmt.Errorf("read a call: %w", err)
		}
		call := Call{Parameters: r.Parameters, More: r.More, UID: uid, Known: known}
		if err := s.answer(ctx, conn, r, call); err != nil {
			return err
		}
	}
}

// readMessage returns the bytes up to the next NUL.
func readMessage(in *bufio.Reader) ([]byte, error) {
	var message []byte
	for {
		part, err := in.ReadSlice(0)
		if len(message)+len(part) > maxMessage {
			return nil, fmt.Errorf("a message is longer than %d bytes", maxMessage)
		}
		message = append(message, part...)
		switch {
		case err == nil:
			return message[:len(message)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(message) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// answer calls a method and sends what it replies.
func (s *Service) answer(ctx context.Context, conn net.Conn, r request, c Call) error {
	var held *answer // the last one must not say that more follow
	send := func(a *answer) error {
		if r.Oneway || a == nil {
			return nil
		}
		return write(conn, a)
	}
	err := s.dispatch(ctx, r.Method, c, func(v any) error {
		if held != nil {
			held.Continues = true
			if err := send(held); err != nil {
				return err
			}
		}
		held = &answer{Parameters: v}
		return nil
	})
	var e *Error
	switch {
	case errors.As(err, &e):
		held = &answer{Error: e.Name, Parameters: e.Parameters}
	case err != nil:
		return err
	case held == nil:
		held = &answer{}
	}
	if held.Parameters == nil {
		held.Parameters = struct{}{}
	}
	return send(held)
}

func write(conn net.Conn, a *answer) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(a); err != nil {
		return err
	}
	text := b.Bytes()
	text[len(text)-1] = 0 // in the place of the newline
	if err := conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(text); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}

func (s *Service) dispatch(ctx context.Context, name string, c Call, reply func(any) error) error {
	at := strings.LastIndexByte(name, '.')
	switch {
	case name == "org.varlink.service.GetInfo":
		return reply(s.about())
	case name == "org.varlink.service.GetInterfaceDescription":
		return s.describe(c, reply)
	case at > 0:
		for _, i := range s.Interfaces {
			if method, ok := i.Methods[name[at+1:]]; ok && i.Name == name[:at] {
				return method(ctx, c, reply)
			}
		}
	}
	return &Error{"org.varlink.service.MethodNotFound", map[string]string{"method": name}}
}

// about is the reply of GetInfo.
func (s *Service) about() any {
	names := []string{"org.varlink.service"}
	for _, i := range s.Interfaces {
		names = append(names, i.Name)
	}
	slices.Sort(names)
	return struct {
		Vendor     string   `json:"vendor"`
		Product    string   `json:"product"`
		Version    string   `json:"version"`
		URL        string   `json:"url"`
		Interfaces []string `json:"interfaces"`
	}{s.Vendor, s.Product, s.Version, s.URL, names}
}

// describe answers GetInterfaceDescription.
func (s *Service) describe(c Call, reply func(any) error) error {
	var asked struct{ Interface string }
	if err := Parameters(c, map[string]any{"interface": &asked.Interface}); err != nil {
		return err
	}
	for _, i := range append(s.Interfaces, Interface{Name: "org.varlink.service", Description: serviceDescription}) {
		if i.Name == asked.Interface {
			return reply(map[string]string{"description": i.Description})
		}
	}
	return &Error{"org.varlink.service.InterfaceNotFound", map[string]string{"interface": asked.Interface}}
}

// Parameters reads the parameters of a call into the pointers of to, by name. A
// name that is not there, or a value of another kind, is InvalidParameter. A
// pointer to a pointer is for what may be left out or null.
func Parameters(c Call, to map[string]any) error {
	if len(c.Parameters) == 0 || string(c.Parameters) == "null" {
		return nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(c.Parameters, &given); err != nil {
		return InvalidParameter("")
	}
	for name, value := range given {
		target, ok := to[name]
		if !ok || json.Unmarshal(value, target) != nil {
			return InvalidParameter(name)
		}
	}
	return nil
}
