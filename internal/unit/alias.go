package unit

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// errSelf says that an alias is the name of the unit itself, which systemctl
// passes over.
var errSelf = errors.New("is the name of the unit itself")

// checkAlias returns why a link called name cannot be another name of the unit
// called target (unit_validate_alias_symlink_or_warn).
func checkAlias(name, target string) error {
	k, t := classify(name), classify(target)
	switch {
	case k == invalid:
		return fmt.Errorf("%q is no name of a unit", name)
	case !mayAlias(typeOf(name)):
		return fmt.Errorf("%s: units of type %s have no other names", name, typeOf(name))
	case k != plain && !mayTemplate(typeOf(name)):
		return fmt.Errorf("%s: there are no templates of type %s", name, typeOf(name))
	case name == target:
		return fmt.Errorf("%s %w", name, errSelf)
	case t == invalid:
		return fmt.Errorf("%s: %q is no name of a unit", name, target)
	case k != t && (k != instance || t != template):
		return fmt.Errorf("%s cannot be another name of %s: unit, template and instance do not mix", name, target)
	case t == instance && instanceOf(name) != instanceOf(target):
		return fmt.Errorf("%s cannot be another name of %s: another instance", name, target)
	case typeOf(name) != typeOf(target):
		return fmt.Errorf("%s cannot be another name of %s: another type", name, target)
	}
	return nil
}

// aliasName returns what an Alias= of the unit is called, which is the name
// with the instance of the unit where it has none (unit_file_verify_alias).
// The old form "foo.target.wants/bar.service" is taken too.
func aliasName(unit, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, checkAliasPath(unit, name)
	}
	if classify(name) == template && classify(unit) == instance {
		full, err := withInstance(name, instanceOf(unit))
		if err != nil {
			return "", err
		}
		name = full
	}
	return name, checkAlias(name, unit)
}

func checkAliasPath(unit, name string) error {
	dir, base := path.Split(name)
	owner, ok := strings.CutSuffix(strings.TrimRight(dir, "/"), ".wants")
	if !ok {
		owner, ok = strings.CutSuffix(strings.TrimRight(dir, "/"), ".requires")
	}
	if !ok || !valid(owner) {
		return fmt.Errorf("alias %s is neither a name nor in the directory of a unit", name)
	}
	of, isTemplate := templateOf(base)
	switch {
	case base == unit && classify(base)&(plain|instance) != 0:
	case isTemplate && of == unit && classify(base) == instance:
	case isTemplate && of == unit && classify(base) == template && classify(owner) == template:
	default:
		return fmt.Errorf("alias %s is no link of %s", name, unit)
	}
	return nil
}
