package settings

import (
	"sextant/internal/merge"
	"sextant/internal/policy"
)

// Settings are what one source says. What it does not mention is nil.
type Settings struct {
	Mutable       *merge.Mutable
	Policy        *policy.Policy
	MountOptions  *string
	RequireSigned *bool
	Submounts     *merge.Submounts
}

// Over returns what s says, and what below says about the rest.
func (s Settings) Over(below Settings) Settings {
	return Settings{
		Mutable:       first(s.Mutable, below.Mutable),
		Policy:        first(s.Policy, below.Policy),
		MountOptions:  first(s.MountOptions, below.MountOptions),
		RequireSigned: first(s.RequireSigned, below.RequireSigned),
		Submounts:     first(s.Submounts, below.Submounts),
	}
}

func first[T any](a, b *T) *T {
	if a != nil {
		return a
	}
	return b
}

// Into sets the options that the settings mention.
func (s Settings) Into(o *merge.Options) {
	set(&o.Mutable, s.Mutable)
	set(&o.RequireSigned, s.RequireSigned)
	set(&o.Submounts, s.Submounts)
	if s.Policy != nil {
		o.Policy = s.Policy
	}
	if s.MountOptions != nil {
		o.MountOptions = s.MountOptions
	}
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// mutableModes are the words for what becomes of changes, in systemd's order.
func mutableModes() []merge.Mutable {
	return []merge.Mutable{
		merge.MutableNo, merge.MutableYes, merge.MutableAuto,
		merge.MutableImport, merge.MutableEphemeral, merge.MutableEphemeralImport,
	}
}

// MutableModes returns the words that ParseMutable takes, in systemd's order.
func MutableModes() []string {
	var list []string
	for _, m := range mutableModes() {
		list = append(list, string(m))
	}
	return list
}

// ParseMutable takes one of the words, or a boolean for yes and no.
func ParseMutable(text string) (mode merge.Mutable, ok bool) {
	for _, m := range mutableModes() {
		if string(m) == text {
			return m, true
		}
	}
	yes, ok := ParseBool(text)
	if yes {
		return merge.MutableYes, ok
	}
	return merge.MutableNo, ok
}

// ParseSubmounts takes keep, extension or refuse.
func ParseSubmounts(text string) (s merge.Submounts, ok bool) {
	switch s := merge.Submounts(text); s {
	case merge.SubmountsKeep, merge.SubmountsExtension, merge.SubmountsRefuse:
		return s, true
	}
	return "", false
}
