package unit_test

import (
	"testing"

	"sextant/internal/vmtest/rootfs"
)

// matrix holds the nasty units.
func matrix() []kase {
	const sys = "usr/lib/systemd/system/"
	const etc = "etc/systemd/system/"
	return []kase{
		{"missing", "etc/", "enable a.service"},
		{"missing, disable", "etc/", "disable a.service"},
		{"missing, leftover", etc + "x.target.wants/a.service -> " + "/" + sys + "a.service", "disable a.service"},
		{"wanted", sys + "a.service: [Install]|WantedBy=x.target|", "enable a.service; is-enabled a.service; disable a.service; is-enabled a.service"},
		{"all three", sys + "a.service: [Install]|WantedBy=x.target|RequiredBy=y.target|UpheldBy=z.service|", "enable a; is-enabled a; disable a"},
		{"no suffix", sys + "a.service: [Install]|WantedBy=x.target|", "enable a; disable a"},
		{"escaped name", sys + `a\x2bb.service: [Install]|WantedBy=x.target|`, "enable a+b"},
		{"two at once, one missing", sys + "a.service: [Install]|WantedBy=x.target|", "enable a b"},
		{"no [Install]", sys + "a.service: [Service]|ExecStart=/bin/true|", "enable a; is-enabled a; disable a"},
		{"empty [Install]", sys + "a.service: [Install]|", "enable a"},
		{"empty file", sys + "a.service: ", "enable a; is-enabled a"},
		{"masked", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service -> /dev/null", "enable a"},
		{"masked, state and disable", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service -> /dev/null\n" + etc + "x.target.wants/a.service -> /" + sys + "a.service", "is-enabled a; disable a"},
		{"masked in run", sys + "a.service: [Install]|WantedBy=x.target|\nrun/systemd/system/a.service -> /dev/null", "is-enabled a; enable a"},
		{"masked by an empty file", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service: ", "enable a"},
		{"masked relatively", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service -> ../../../dev/null", "enable a"},
		{"masked alias", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "m.service -> /dev/null\n" + etc + "n.service -> m.service", "enable n"},
		{"in etc", etc + "a.service: [Install]|WantedBy=x.target|", "enable a; disable a"},
		{"etc before usr", etc + "a.service: [Install]|WantedBy=etc.target|\n" + sys + "a.service: [Install]|WantedBy=usr.target|", "enable a"},
		{"in usr/local", "usr/local/lib/systemd/system/a.service: [Install]|WantedBy=x.target|", "enable a; disable a"},
		{"in run", "run/systemd/system/a.service: [Install]|WantedBy=x.target|", "enable a; is-enabled a; disable a"},
		{"attached", "etc/systemd/system.attached/a.service: [Install]|WantedBy=x.target|", "enable a; disable a"},
		{"generated", "run/systemd/generator/a.service: [Install]|WantedBy=x.target|", "is-enabled a; enable a"},
		{"generated late", "run/systemd/generator.late/a.service: [Install]|WantedBy=x.target|", "is-enabled a; enable a"},
		{"transient", "run/systemd/transient/a.service: [Install]|WantedBy=x.target|", "is-enabled a; enable a"},
		{"below a directory of units", sys + "sub/a.service: [Install]|WantedBy=x.target|", "enable a"},
		{"a directory of the name", etc + "a.service/x: y\n" + sys + "a.service: [Install]|WantedBy=x.target|", "enable a"},
		{"a fifo of another type", sys + "a.what: [Install]|WantedBy=x.target|", "enable a.what"},
		// Links that are there already.
		{"link exists", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants/a.service -> /" + sys + "a.service", "enable a; disable a"},
		{"link exists, relative", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants/a.service -> ../a.service", "enable a; disable a"},
		{"link exists, elsewhere", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants/a.service -> /opt/a.service", "enable a; disable a"},
		{"link exists, other name", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants/a.service -> /" + sys + "b.service", "enable a; disable a"},
		{"a file where the link goes", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants/a.service: x", "enable a"},
		{"a file where the directory goes", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants: x", "enable a"},
		{"alias exists", sys + "a.service: [Install]|Alias=b.service|\n" + etc + "b.service -> /" + sys + "a.service", "enable a; is-enabled a; is-enabled b; disable a"},
		{"alias of another", sys + "a.service: [Install]|Alias=b.service|\n" + sys + "c.service: [Unit]|\n" + etc + "b.service -> /" + sys + "c.service", "enable a"},
		{"alias is a file", sys + "a.service: [Install]|Alias=b.service|\n" + etc + "b.service: [Unit]|", "enable a"},
		// Aliases.
		{"alias", sys + "a.service: [Install]|Alias=b.service c.service|", "enable a; is-enabled a; is-enabled b; disable a"},
		{"alias, disable by it", sys + "a.service: [Install]|Alias=b.service|WantedBy=x.target|", "enable a; disable b"},
		{"alias, enable by it", sys + "a.service: [Install]|WantedBy=x.target|\n" + sys + "b.service -> a.service", "enable b; is-enabled b; disable b"},
		{"alias in etc, enable by it", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "b.service -> /" + sys + "a.service", "enable b"},
		{"alias of itself", sys + "a.service: [Install]|Alias=a.service|WantedBy=x.target|", "enable a; disable a"},
		{"alias only of itself", sys + "a.service: [Install]|Alias=a.service|", "enable a"},
		{"alias across types", sys + "a.service: [Install]|Alias=b.socket|", "enable a"},
		{"alias with an instance", sys + "a.service: [Install]|Alias=b@i.service|", "enable a"},
		{"alias is a template", sys + "a.service: [Install]|Alias=b@.service|", "enable a"},
		{"alias of a mount", sys + "a.mount: [Install]|Alias=b.mount|WantedBy=x.target|", "enable a.mount"},
		{"alias of a timer", sys + "a.timer: [Install]|Alias=b.timer|", "enable a.timer; disable a.timer"},
		{"alias is no name", sys + "a.service: [Install]|Alias=b|", "enable a"},
		{"alias in wants", sys + "a.service: [Install]|Alias=x.target.wants/a.service|", "enable a; disable a"},
		{"alias in wants, other name", sys + "a.service: [Install]|Alias=x.target.wants/b.service|", "enable a"},
		{"alias in upholds", sys + "a.service: [Install]|Alias=x.target.upholds/a.service|", "enable a"},
		{"alias in a directory", sys + "a.service: [Install]|Alias=x/a.service|", "enable a"},
		{"alias in requires of a template", sys + "a@.service: [Install]|Alias=x@.target.requires/a@.service|", "enable a@.service"},
		{"alias chain", sys + "a.service: [Install]|WantedBy=x.target|\n" + sys + "b.service -> a.service\n" + sys + "c.service -> b.service", "enable c; disable c"},
		{"alias loop", sys + "b.service -> c.service\n" + sys + "c.service -> b.service", "enable b"},
		{"alias dangles", sys + "b.service -> nothing.service", "enable b"},
		{"alias dangles, disable", sys + "b.service -> nothing.service\n" + etc + "x.target.wants/b.service -> /" + sys + "b.service", "disable b"},
		{"alias dangles in etc", etc + "b.service -> nothing.service", "disable b"},
		{"alias to another type", sys + "a.socket: [Install]|WantedBy=x.target|\n" + sys + "b.service -> a.socket", "enable b"},
		{"alias link to itself by name", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service -> /" + sys + "a.service", "enable a"},
		{"alias outside and back", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "b.service -> ../../../" + sys + "a.service", "enable b"},
		{"good and bad aliases", sys + "a.service: [Install]|Alias=b.service|Alias=c.socket|Alias=d.service|WantedBy=x.target|", "enable a"},
		// Also=.
		{"also", sys + "a.service: [Install]|Also=b.socket|WantedBy=x.target|\n" + sys + "b.socket: [Install]|WantedBy=y.target|", "enable a; is-enabled a; disable a"},
		{"also loop", sys + "a.service: [Install]|Also=b.socket|WantedBy=x.target|\n" + sys + "b.socket: [Install]|Also=a.service|WantedBy=y.target|", "enable b.socket; disable a"},
		{"also itself", sys + "a.service: [Install]|Also=a.service|WantedBy=x.target|", "enable a; disable a"},
		{"also chain", sys + "a.service: [Install]|Also=b.service|\n" + sys + "b.service: [Install]|Also=c.service|\n" + sys + "c.service: [Install]|WantedBy=x.target|", "enable a; is-enabled a; disable a"},
		{"also missing", sys + "a.service: [Install]|Also=b.socket|WantedBy=x.target|", "enable a; disable a"},
		{"also masked", sys + "a.service: [Install]|Also=b.socket|WantedBy=x.target|\n" + etc + "b.socket -> /dev/null", "enable a; disable a"},
		{"also an alias", sys + "a.service: [Install]|Also=c.service|\n" + sys + "b.service: [Install]|WantedBy=x.target|\n" + sys + "c.service -> b.service", "enable a; disable a"},
		{"also an alias in etc", sys + "a.service: [Install]|Also=c.service|WantedBy=x.target|\n" + sys + "b.service: [Install]|WantedBy=x.target|\n" + etc + "c.service -> /" + sys + "b.service", "enable a; disable a"},
		{"also with a bad name", sys + "a.service: [Install]|Also=b|WantedBy=x.target|", "enable a"},
		{"also with a backslash", sys + `a.service: [Install]|Also=b\x2dc.service|WantedBy=x.target|` + "\n" + sys + `b\x2dc.service: [Install]|WantedBy=x.target|`, "enable a"},
		{"also emptied", sys + "a.service: [Install]|Also=b.service|Also=|\n" + sys + "b.service: [Install]|WantedBy=x.target|", "enable a"},
		{"also an instance", sys + "a.service: [Install]|Also=t@one.service|\n" + sys + "t@.service: [Install]|WantedBy=x.target|", "enable a; disable a"},
		{"also with a quote", sys + `a.service: [Install]|Also="b.service"|`, "enable a"},
		// Templates.
		{"template without instance", sys + "t@.service: [Install]|WantedBy=x.target|", "enable t@.service"},
		{"instance", sys + "t@.service: [Install]|WantedBy=x.target|", "enable t@one.service t@two; is-enabled t@one.service; is-enabled t@.service; disable t@one.service; disable t@.service"},
		{"default instance", sys + "t@.service: [Install]|WantedBy=x.target|DefaultInstance=d|", "enable t@.service; is-enabled t@.service; is-enabled t@d.service; disable t@.service"},
		{"default instance, another", sys + "t@.service: [Install]|WantedBy=x.target|DefaultInstance=d|", "enable t@e.service; is-enabled t@.service; disable t@e.service"},
		{"default instance after wants", sys + "t@.service: [Install]|DefaultInstance=d|WantedBy=x@%i.target|", "enable t@.service"},
		{"default instance masked", sys + "t@.service: [Install]|WantedBy=x.target|DefaultInstance=d|\n" + etc + "t@d.service -> /dev/null", "enable t@.service"},
		{"default instance has a file", sys + "t@.service: [Install]|WantedBy=x.target|DefaultInstance=d|\n" + sys + "t@d.service: [Install]|WantedBy=y.target|", "enable t@.service; disable t@.service"},
		{"default instance, bad", sys + "t@.service: [Install]|WantedBy=x.target|DefaultInstance=d/e|", "enable t@.service"},
		{"default instance, emptied", sys + "t@.service: [Install]|WantedBy=x.target|DefaultInstance=d|DefaultInstance=|", "enable t@.service"},
		{"default instance of a plain unit", sys + "a.service: [Install]|WantedBy=x.target|DefaultInstance=d|", "enable a"},
		{"default instance and alias", sys + "t@.service: [Install]|Alias=u@.service|DefaultInstance=d|", "enable t@.service; disable t@.service"},
		{"alias of an instance", sys + "t@.service: [Install]|Alias=u@.service|", "enable t@one.service; disable t@one.service"},
		{"alias with instance of a template", sys + "t@.service: [Install]|Alias=u@x.service|", "enable t@.service; is-enabled t@.service; disable t@.service"},
		{"alias with another instance", sys + "t@.service: [Install]|Alias=u@x.service|", "enable t@one.service"},
		{"template wanted by template", sys + "t@.service: [Install]|WantedBy=x@.target|", "enable t@.service; enable t@one.service; disable t@one.service; disable t@.service"},
		{"template wanted by instance", sys + "t@.service: [Install]|RequiredBy=x@i.target|", "enable t@.service; disable t@.service"},
		{"plain wanted by template", sys + "a.service: [Install]|WantedBy=x@.target|", "enable a; disable a"},
		{"instance has a file", sys + "t@.service: [Install]|WantedBy=x.target|\n" + sys + "t@one.service: [Install]|WantedBy=y.target|", "enable t@one.service; enable t@two.service; disable t@.service"},
		{"instance is a link to the template", sys + "t@.service: [Install]|WantedBy=x.target|\n" + sys + "t@one.service -> t@.service", "enable t@one.service; disable t@one.service"},
		{"instance is a link to another template", sys + "t@.service: [Install]|WantedBy=x.target|\n" + sys + "u@.service -> t@.service", "enable u@one.service; disable u@one.service"},
		{"template of a mount", sys + "t@.mount: [Install]|WantedBy=x.target|", "enable t@one.mount"},
		{"template of a slice", sys + "t@.slice: [Install]|WantedBy=x.target|", "enable t@one.slice"},
		{"template of a timer", sys + "t@.timer: [Install]|WantedBy=x.target|", "enable t@one.timer; disable t@one.timer"},
		{"instance masked", sys + "t@.service: [Install]|WantedBy=x.target|\n" + etc + "t@one.service -> /dev/null", "enable t@one.service"},
		{"template masked", sys + "t@.service: [Install]|WantedBy=x.target|\n" + etc + "t@.service -> /dev/null", "enable t@one.service"},
		{"at at", sys + "t@.service: [Install]|WantedBy=x.target|", "enable t@a@b.service; disable t@a@b.service"},
		{"starts with an at", sys + "@a.service: [Install]|WantedBy=x.target|", "enable @a.service"},
		{"wants of a template, relative links", sys + "t@.service: [Install]|WantedBy=x.target|\n" +
			etc + "x.target.wants/t@1.service -> ../t@1.service\n" + etc + "x.target.wants/t@2.service -> t@2.service\n" +
			etc + "y.target.wants/t@3.service -> /run/t@.service\n" + etc + "u.service -> /" + sys + "t@.service", "disable t@.service"},
		// Drop-ins.
		{"drop-in", sys + "a.service: [Service]|\n" + etc + "a.service.d/x.conf: [Install]|WantedBy=x.target|", "enable a; disable a"},
		{"drop-in empties", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service.d/x.conf: [Install]|WantedBy=|WantedBy=y.target|", "enable a; disable a"},
		{"drop-in in usr", sys + "a.service: [Install]|WantedBy=x.target|\n" + sys + "a.service.d/x.conf: [Install]|WantedBy=y.target|", "enable a; disable a"},
		{"drop-in masked", sys + "a.service: [Install]|WantedBy=x.target|\n" + sys + "a.service.d/x.conf: [Install]|WantedBy=y.target|\n" + etc + "a.service.d/x.conf -> /dev/null\ndev/null: ", "enable a"},
		{"drop-in empty", sys + "a.service: [Install]|WantedBy=x.target|\n" + sys + "a.service.d/x.conf: [Install]|WantedBy=y.target|\n" + etc + "a.service.d/x.conf: ", "enable a"},
		{"drop-in dangles", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service.d/x.conf -> nowhere", "enable a"},
		{"drop-in is a link", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service.d/x.conf -> ../y\n" + etc + "y: [Install]|WantedBy=z.target|", "enable a"},
		{"drop-in of the type", sys + "a.service: [Service]|\n" + etc + "service.d/x.conf: [Install]|WantedBy=x.target|", "enable a"},
		{"drop-in of the prefix", sys + "a-b.service: [Service]|\n" + etc + "a-.service.d/x.conf: [Install]|WantedBy=x.target|", "enable a-b"},
		{"drop-in of the template", sys + "t@.service: [Service]|\n" + etc + "t@.service.d/x.conf: [Install]|WantedBy=x.target|", "enable t@one.service; disable t@one.service"},
		{"drop-in of the instance", sys + "t@.service: [Service]|\n" + etc + "t@one.service.d/x.conf: [Install]|WantedBy=x.target|", "enable t@one.service; disable t@one.service"},
		{"drop-ins of both", sys + "t@.service: [Service]|\n" + etc + "t@one.service.d/x.conf: [Install]|WantedBy=i.target|\n" + etc + "t@.service.d/x.conf: [Install]|WantedBy=t.target|\n" + etc + "t@.service.d/y.conf: [Install]|WantedBy=u.target|", "enable t@one.service"},
		{"drop-in of an alias", sys + "a.service: [Service]|\n" + sys + "b.service -> a.service\n" + etc + "b.service.d/x.conf: [Install]|WantedBy=x.target|", "enable a; enable b"},
		{"drop-ins in order", sys + "a.service: [Service]|\n" + etc + "a.service.d/20.conf: [Install]|WantedBy=|WantedBy=b.target|\n" + sys + "a.service.d/10.conf: [Install]|WantedBy=a.target|", "enable a"},
		{"drop-in of another suffix", sys + "a.service: [Service]|\n" + etc + "a.service.d/x: [Install]|WantedBy=x.target|", "enable a"},
		{"drop-in alone", etc + "a.service.d/x.conf: [Install]|WantedBy=x.target|", "enable a"},
		{"drop-in is broken", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service.d/x.conf: [Install|", "enable a"},
		{"drop-in directory is a link", sys + "a.service: [Service]|\n" + etc + "a.service.d -> ../../conf\netc/conf/x.conf: [Install]|WantedBy=x.target|", "enable a"},
		// Linked units.
		{"by path", "opt/a.service: [Install]|WantedBy=x.target|Alias=b.service|", "enable /opt/a.service; is-enabled a; enable a; disable a"},
		{"by path, disable by path", "opt/a.service: [Install]|WantedBy=x.target|", "enable /opt/a.service; disable /opt/a.service"},
		{"by path, another is linked", "opt/a.service: [Install]|WantedBy=x.target|\nsrv/a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service -> /srv/a.service", "enable /opt/a.service"},
		{"by path, in the search path", sys + "a.service: [Install]|WantedBy=x.target|", "enable /" + sys + "a.service"},
		{"by path, template", "opt/t@.service: [Install]|WantedBy=x.target|", "enable /opt/t@.service"},
		{"by path, not a unit", "opt/a: [Install]|WantedBy=x.target|", "enable /opt/a"},
		{"by path, missing", "etc/", "enable /opt/a.service"},
		{"by path, a link", "opt/a.service -> b.service\nopt/b.service: [Install]|WantedBy=x.target|", "enable /opt/a.service"},
		{"linked", "opt/a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service -> /opt/a.service", "is-enabled a; enable a; is-enabled a; disable a"},
		{"linked, other name", "opt/a.suffix: [Install]|WantedBy=x.target|\n" + etc + "a.service -> /opt/a.suffix", "enable a; disable a"},
		{"linked, drop-in", "opt/a.service: [Install]|WantedBy=x.target|\n" + etc + "a.service -> /opt/a.service\n" + etc + "a.service.d/x.conf: [Install]|WantedBy=y.target|", "enable a; disable a"},
		{"linked, dangling", etc + "a.service -> /opt/a.service", "enable a"},
		{"linked, dangling, disable", etc + "a.service -> /opt/a.service", "disable a"},
		{"linked template", "opt/t@.service: [Install]|WantedBy=x.target|\n" + etc + "t@.service -> /opt/t@.service", "enable t@one.service; disable t@one.service"},
		{"linked in usr", "opt/a.service: [Install]|WantedBy=x.target|\n" + sys + "a.service -> /opt/a.service", "enable a; disable a"},
		// Specifiers.
		{"specifiers", sys + "foo-bar.service: [Install]|WantedBy=p-%p.target j-%j.target N-%N.target|Alias=n-%n|", "enable foo-bar; disable foo-bar"},
		{"specifiers of an instance", sys + "foo-bar@.service: [Install]|WantedBy=p-%p.target j-%j.target N-%N.target i-%i.target|Alias=n-%n|", "enable foo-bar@x.service; disable foo-bar@x.service"},
		{"specifiers of a template", sys + "foo-bar@.service: [Install]|DefaultInstance=d|WantedBy=p-%p.target j-%j.target N-%N.target i-%i.target|Alias=n-%n|", "enable foo-bar@.service; disable foo-bar@.service"},
		{"specifiers of root", sys + "a.service: [Install]|WantedBy=%u-%U-%g-%G.target|", "enable a"},
		{"specifiers of the system", "etc/os-release: ID=x|VERSION_ID='1.2'|IMAGE_ID=i|\netc/machine-id: 0123456789abcdef0123456789abcdef|\n" +
			sys + "a.service: [Install]|WantedBy=%o-%w-%M-%B%A%W.target %m.target %a.target|", "enable a"},
		{"specifiers, os-release in usr", "usr/lib/os-release: ID=x|\n" + sys + "a.service: [Install]|WantedBy=%o.target|", "enable a"},
		{"specifier, no os-release", sys + "a.service: [Install]|WantedBy=%o.target|", "enable a"},
		{"specifier, no machine ID", sys + "a.service: [Install]|WantedBy=%m.target|", "enable a"},
		{"specifier, empty machine ID", "etc/machine-id: \n" + sys + "a.service: [Install]|WantedBy=%m.target|", "enable a"},
		{"specifier, uninitialized", "etc/machine-id: uninitialized|\n" + sys + "a.service: [Install]|WantedBy=%m.target|", "enable a"},
		{"specifier unknown", sys + "a.service: [Install]|WantedBy=%z.target|", "enable a"},
		{"specifier not for [Install]", sys + "a.service: [Install]|WantedBy=%I.target|", "enable a"},
		{"specifier V", sys + "a.service: [Install]|WantedBy=%V.target|", "enable a"},
		{"specifier unknown in Also", sys + "a.service: [Install]|Also=%z.service|WantedBy=x.target|", "enable a"},
		{"specifier unknown in DefaultInstance", sys + "t@.service: [Install]|DefaultInstance=%z|WantedBy=x.target|", "enable t@.service"},
		{"specifier in Also", sys + "a.service: [Install]|Also=%p.socket|\n" + sys + "a.socket: [Install]|WantedBy=x.target|", "enable a; disable a"},
		{"percent", sys + "a.service: [Install]|WantedBy=x%%y.target|", "enable a"},
		{"percent at the end", sys + "a.service: [Install]|WantedBy=x.target%|", "enable a"},
		{"percent and a sign", sys + "a.service: [Install]|WantedBy=x%-y.target|", "enable a"},
		{"too long", sys + "a.service: [Install]|WantedBy=%p" + long(250) + ".target|", "enable a"},
		{"too long to expand", sys + "a.service: [Install]|WantedBy=%p" + long(300) + ".target|", "enable a"},
		// The parser.
		{"quotes", sys + `a.service: [Install]|WantedBy="x.target" 'y.target' z".tar"get|`, "enable a"},
		{"open quote", sys + `a.service: [Install]|WantedBy=x.target "y.target|RequiredBy=z.target|`, "enable a"},
		{"continuation", sys + `a.service: [Install]|WantedBy=x.target \|# no|  y.target|RequiredBy=z.target|`, "enable a"},
		{"continuation at the end", sys + `a.service: [Install]|WantedBy=x.target \`, "enable a"},
		{"two backslashes", sys + `a.service: [Install]|WantedBy=x.target \\|RequiredBy=y.target|`, "enable a"},
		{"comments", sys + "a.service: # x|[Install]|; y|  # z|WantedBy=x.target # y.target|", "enable a"},
		{"unknown section", sys + "a.service: [X-Install]|WantedBy=x.target|[Foo]|WantedBy=y.target|[Install]|WantedBy=z.target|", "enable a"},
		{"open section", sys + "a.service: [Install]|WantedBy=x.target|[Foo|", "enable a"},
		{"section with a quote", sys + `a.service: [Install]|WantedBy=x.target|[Fo"o]|`, "enable a"},
		{"assignment outside", sys + "a.service: WantedBy=y.target|[Install]|WantedBy=x.target|", "enable a"},
		{"no equals sign", sys + "a.service: [Install]|foo|=bar|WantedBy=x.target|", "enable a"},
		{"lower case", sys + "a.service: [Install]|wantedby=x.target|", "enable a"},
		{"blanks", sys + "a.service:   [Install]  |  WantedBy  =   x.target   y.target |", "enable a"},
		{"byte order mark", sys + "a.service: \ufeff[Install]|WantedBy=x.target|", "enable a"},
		{"not UTF-8", sys + "a.service: [Unit]|Description=\xff|[Install]|WantedBy=x.target|", "enable a"},
		{"not UTF-8 in a comment", sys + "a.service: # \xff|[Install]|WantedBy=x.target|", "enable a"},
		{"carriage returns", sys + "a.service: [Install]\r|WantedBy=x.target\r|", "enable a"},
		{"wanted by no name", sys + "a.service: [Install]|WantedBy=x|", "enable a"},
		{"wanted by a good and a bad one", sys + "a.service: [Install]|WantedBy=x y.target|", "enable a"},
		{"good wants, bad requires", sys + "a.service: [Install]|WantedBy=y.target|RequiredBy=x|", "enable a"},
		{"twice the same", sys + "a.service: [Install]|WantedBy=x.target x.target|WantedBy=x.target|", "enable a; disable a"},
		{"wanted by itself", sys + "a.service: [Install]|WantedBy=a.service|", "enable a; disable a"},
		// Disable.
		{"links that [Install] does not name", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "y.target.wants/a.service -> /" + sys + "a.service\n" +
			etc + "b.service -> /" + sys + "a.service\n" + etc + "z.target.upholds/a.service -> ../b.service", "disable a"},
		{"other things in the directory", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants/a.service -> /" + sys + "a.service\n" +
			etc + "x.target.wants/b.service -> /" + sys + "b.service\n" + etc + "x.target.wants/note: x", "disable a"},
		{"empty directories stay", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "y.target.wants/", "enable a; disable a"},
		{"links in usr stay", sys + "a.service: [Install]|WantedBy=x.target|\n" + sys + "x.target.wants/a.service -> ../a.service", "is-enabled a; disable a"},
		{"links in run stay", sys + "a.service: [Install]|WantedBy=x.target|\nrun/systemd/system/x.target.wants/a.service -> ../a.service", "is-enabled a; disable a"},
		{"static instance", sys + "t@.service: [Install]|WantedBy=x.target|\n" + sys + "x.target.wants/t@one.service -> ../t@.service", "is-enabled t@one.service; is-enabled t@.service"},
		{"link of a name that is none", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "x.target.wants/a -> /" + sys + "a.service", "disable a"},
		{"link loop in etc", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "l.service -> m.service\n" + etc + "m.service -> l.service", "disable a"},
		{"deep directories", sys + "a.service: [Install]|WantedBy=x.target|\n" + etc + "one/two/three/a.service -> /" + sys + "a.service", "disable a"},
		{"the file itself stays", etc + "a.service: [Install]|WantedBy=x.target|Alias=b.service|", "enable a; disable a"},
		{"disable is not a name", "etc/", "disable /"},
		{"systemd in /lib", "lib -> usr/lib\nsbin/init -> /lib/systemd/systemd\n" + sys + "a.service: [Install]|WantedBy=x.target|Alias=b.service|", "enable a; disable a"},
		{"/lib of its own", "lib/systemd/system/a.service: [Install]|WantedBy=x.target|", "enable a"},
		{"two at once", sys + "a.service: [Install]|WantedBy=x.target|\n" + sys + "b.service: [Install]|WantedBy=x.target|Alias=c.service|", "enable a b; disable a b"},
		{"two at once, one alias", sys + "a.service: [Install]|Alias=c.service|\n" + sys + "b.service: [Install]|Alias=c.service|", "enable a b"},
	}
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

func TestMatrixLikeSystemctl(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			good, bad := compare(t, release, matrix())
			if good < 150 || bad < 40 {
				t.Errorf("%d steps succeeded, %d failed: they show too little", good, bad)
			}
			t.Logf("%d steps the same, %d refused by both", good, bad)
		})
	}
}
