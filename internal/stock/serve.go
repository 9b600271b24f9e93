package stock

import (
	"context"

	"sextant/internal/activate"
	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/merge"
	"sextant/internal/varlink"
)

// badMessage is EBADMSG, the error for an image that was left out.
const badMessage = 74

// serve answers over Varlink, as systemd-sysext@.service does. Only root may
// ask: nobody is asked for a password, as that needs a polkit agent.
func (p *program) serve(ctx context.Context, r activate.Request) error {
	s := service{p, r}
	v := varlink.Service{
		Vendor: "The systemd Project", Product: "systemd (systemd-sysext)", Version: release + " (sextant)", URL: "https://systemd.io/",
		Interfaces: []varlink.Interface{
			{Name: "io.systemd.sysext", Description: sysextDescription, Methods: map[string]varlink.Method{
				"Merge": s.merge, "Unmerge": s.unmerge, "Refresh": s.refresh, "List": s.list,
			}},
			{Name: "io.systemd.SysUpdate.Notify", Description: notifyDescription, Methods: map[string]varlink.Method{
				"OnCompletedUpdate": s.updated,
			}},
			{Name: "io.systemd", Description: errorsDescription},
		},
	}
	return v.ServeInherited(ctx)
}

// service holds what the methods work with.
type service struct {
	program *program
	request activate.Request // what the command line says
}

// call reads the parameters of a call on top of those of the command line. Names
// are the parameters that the method knows beside class.
func (s service) call(c varlink.Call, names ...string) (activate.Request, error) {
	r := s.request
	var class *string
	var force, noReload, alwaysRefresh, noExec, interactive *bool
	all := map[string]any{"force": &force, "noReload": &noReload, "alwaysRefresh": &alwaysRefresh, "noexec": &noExec}
	known := map[string]any{"class": &class, "allowInteractiveAuthentication": &interactive}
	for _, n := range names {
		known[n] = all[n]
	}
	if err := varlink.Parameters(c, known); err != nil {
		return r, err
	}
	if class != nil {
		var err error
		if r.Class, err = extension.ParseClass(*class); err != nil {
			return r, varlink.InvalidParameter("class")
		}
	}
	override(&r.Force, force)
	override(&r.NoReload, noReload)
	override(&r.AlwaysRefresh, alwaysRefresh)
	if noExec != nil {
		r.NoExec = noExec
	}
	if !c.Known || c.UID != 0 {
		return r, varlink.PermissionDenied()
	}
	return r, nil
}

func override(to, from *bool) {
	if from != nil {
		*to = *from
	}
}

func (s service) merge(ctx context.Context, c varlink.Call, _ func(any) error) error {
	r, err := s.call(c, "force", "noReload", "alwaysRefresh", "noexec")
	if err != nil {
		return err
	}
	return s.change(ctx, r, activate.Merge)
}

func (s service) refresh(ctx context.Context, c varlink.Call, _ func(any) error) error {
	r, err := s.call(c, "force", "noReload", "alwaysRefresh", "noexec")
	if err != nil {
		return err
	}
	return s.change(ctx, r, activate.Refresh)
}

func (s service) unmerge(ctx context.Context, c varlink.Call, _ func(any) error) error {
	r, err := s.call(c, "noReload")
	if err != nil {
		return err
	}
	return s.change(ctx, r, activate.Unmerge)
}

// change does the work, and says what went wrong in the log and by a number.
func (s service) change(ctx context.Context, r activate.Request, do activate.Act) error {
	report, err := s.program.perform(ctx, r, do)
	if report != nil && report.Outcome == merge.AlreadyMerged {
		return &varlink.Error{Name: "io.systemd.sysext.AlreadyMerged", Parameters: map[string]string{"hierarchy": report.Hierarchy}}
	}
	if err == nil {
		return nil
	}
	s.program.log.failure(err)
	return number(err)
}

// updated refreshes both classes, after systemd-sysupdate brought a new version
// of something. What it brought does not matter.
func (s service) updated(ctx context.Context, c varlink.Call, _ func(any) error) error {
	var component, number *string
	var resources []any
	if err := varlink.Parameters(c, map[string]any{"component": &component, "version": &number, "resources": &resources}); err != nil {
		return err
	}
	if !c.Known || c.UID != 0 {
		return varlink.PermissionDenied()
	}
	var first error
	for _, class := range []extension.Class{extension.Confext, extension.Sysext} {
		r := s.request
		r.Class = class
		if err := s.change(ctx, r, activate.Refresh); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// image is a reply of List.
type image struct {
	Class    string `json:"Class"`
	Type     string `json:"Type"`
	Name     string `json:"Name"`
	Path     string `json:"Path"`
	ReadOnly bool   `json:"ReadOnly"`

	Created  int64 `json:"CreationTimestamp,omitempty"`
	Modified int64 `json:"ModificationTimestamp,omitempty"`
	*usage
}

// usage is how much room a raw image takes and is, in bytes.
type usage struct {
	Usage          int64
	UsageExclusive int64
	Limit          int64
	LimitExclusive int64
}

func (s service) list(_ context.Context, c varlink.Call, reply func(any) error) error {
	if !c.More {
		return varlink.ExpectedMore()
	}
	r, err := s.call(c)
	if err != nil {
		return err
	}
	found, _, err := discover.List(r.Root, r.Class)
	if err != nil {
		return number(err)
	}
	listed := false
	for _, f := range found {
		if f.Fault != nil {
			continue
		}
		listed = true
		if err := reply(newImage(f)); err != nil {
			return err
		}
	}
	if !listed {
		return &varlink.Error{Name: "io.systemd.sysext.NoImagesFound"}
	}
	return nil
}
