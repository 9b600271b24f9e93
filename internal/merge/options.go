package merge

import (
	"sextant/internal/extension"
	"sextant/internal/policy"
	"sextant/internal/verdict"
)

func (o Options) systemd() int {
	if o.Systemd == 0 {
		return verdict.Newest
	}
	return o.Systemd
}

func (o Options) mutable() Mutable {
	if o.Mutable == "" {
		return MutableNo
	}
	return o.Mutable
}

// log tells the caller what happens.
func (o Options) log(level Level, text string) {
	if o.Log != nil {
		o.Log(level, text)
	}
}

// signedOnly is the policy of RequireSigned.
func signedOnly(class extension.Class) policy.Policy {
	if class == extension.Confext {
		return policy.ConfextStrict()
	}
	return policy.SysextStrict()
}
