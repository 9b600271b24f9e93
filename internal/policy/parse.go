package policy

import (
	"errors"
	"fmt"
	"strings"

	"sextant/internal/dps"
)

// The ways in which a text can fail to be a policy. They are usage errors, so
// they wrap none of the faults of an image.
var (
	ErrSyntax     = errors.New("not a rule like root=verity+signed")
	ErrDesignator = errors.New("not a partition designator")
	ErrFlag       = errors.New("not a policy flag")
	ErrTwice      = errors.New("more than one rule")
)

// Parse returns the policy that text holds. It refuses what systemd 262
// refuses on a command line (image_policy_from_string). An empty text is -.
func Parse(text string) (Policy, error) {
	p := parser{}
	return p.parse(text)
}

// ParseSetting is Parse with the mercy that systemd has with its configuration
// files from 258 on: unknown designators and flags are passed over. It returns
// them too, each as "root=word" or "designator=…".
func ParseSetting(text string) (policy Policy, passedOver []string, err error) {
	p := parser{lenient: true}
	policy, err = p.parse(text)
	return policy, p.passedOver, err
}

type parser struct {
	policy     Policy
	others     bool // whether the rule for all others was there
	lenient    bool
	passedOver []string
}

func (p *parser) parse(text string) (Policy, error) {
	switch text {
	case "", "-":
		return IgnoreAll(), nil
	case "*":
		return Allow(), nil
	case "~":
		return Deny(), nil
	}
	p.policy.others = Ignore
	for text, more := text, true; more; {
		var part string
		var err error
		if part, text, more, err = cut(text, ':'); err != nil {
			return Policy{}, fmt.Errorf("image policy: %w", err)
		}
		if err := p.rule(part); err != nil {
			return Policy{}, fmt.Errorf("image policy: %q: %w", part, err)
		}
	}
	return p.policy, nil
}

// rule takes one part of the policy, such as root=verity+signed.
func (p *parser) rule(part string) error {
	name, words, more, err := cut(part, '=')
	if err != nil {
		return err
	}
	if !more {
		return ErrSyntax
	}
	d := dps.Designator(strings.Trim(name, blank))
	if err := p.mayAdd(d); errors.Is(err, ErrDesignator) && p.lenient {
		p.passedOver = append(p.passedOver, string(d)+"=…")
		return nil
	} else if err != nil {
		return err
	}
	f, err := p.flags(d, strings.Trim(words, blank))
	if err != nil {
		return err
	}
	if d == "" {
		p.policy.others, p.others = f, true
	} else {
		p.policy.put(d, f)
	}
	return nil
}

// mayAdd returns an error unless a rule for d can be added. The empty
// designator stands for all others.
func (p *parser) mayAdd(d dps.Designator) error {
	if d != "" && !known(d) {
		return ErrDesignator
	}
	if _, twice := p.policy.rule(d); twice || d == "" && p.others {
		return ErrTwice
	}
	return nil
}

func (p *parser) flags(d dps.Designator, words string) (Flags, error) {
	if words == "" || words == "-" {
		return 0, nil
	}
	var all Flags
	for more := true; more; {
		var word string
		var err error
		if word, words, more, err = cut(words, '+'); err != nil {
			return 0, err
		}
		word = strings.Trim(word, blank)
		f, ok := flagCalled(word)
		switch {
		case !ok && !p.lenient:
			return 0, fmt.Errorf("%q: %w", word, ErrFlag)
		case !ok:
			p.passedOver = append(p.passedOver, string(d)+"="+word)
		case f == EncryptedWithIntegrity || f.Has(FileSystems):
			p.policy.since = flagsRelease
		}
		all |= f
	}
	return all, nil
}

// blank holds the bytes that systemd strips from words (WHITESPACE).
const blank = " \t\n\r"

// cut takes the text up to the first sep off text. A backslash protects the
// byte behind it and vanishes, at each level anew (systemd
// src/basic/extract-word.c). Without a sep the word is all of text, and more
// is false.
func cut(text string, sep byte) (word, rest string, more bool, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == sep:
			return b.String(), text[i+1:], true, nil
		case c != '\\':
			b.WriteByte(c)
		case i+1 == len(text):
			return "", "", false, fmt.Errorf("backslash at the end: %w", ErrSyntax)
		default:
			i++
			b.WriteByte(text[i])
		}
	}
	return b.String(), "", false, nil
}
