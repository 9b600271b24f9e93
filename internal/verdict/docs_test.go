package verdict_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/report"
	"sextant/internal/verdict"
)

// TestRulesAreDocumented holds docs/json.md and the table to the list of rules.
func TestRulesAreDocumented(t *testing.T) {
	source, err := os.ReadFile("rules.go")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	var rules, documented []string
	for _, m := range regexp.MustCompile(`Rule = "([a-z0-9-]+)"`).FindAllSubmatch(source, -1) {
		rules = append(rules, string(m[1]))
	}
	_, list, _ := strings.Cut(string(text), "The ids:")
	list, _, _ = strings.Cut(list, "\n## ") // other verbs have tables of their own
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)`").FindAllStringSubmatch(list, -1) {
		documented = append(documented, m[1])
	}
	if diff := cmp.Diff(rules, documented); diff != "" {
		t.Errorf("docs/json.md (-rules +documented):\n%s", diff)
	}
	for _, r := range rules {
		for release := verdict.Oldest; release <= verdict.Newest; release++ {
			outcome, _ := verdict.Situation{Release: release}.Outcome(verdict.Rule(r))
			// What decides about an image has words for it.
			if outcome >= verdict.Unchecked && verdict.Rule(r).Brief() == "" {
				t.Errorf("rule %s has outcome %s in %d and no brief text", r, outcome, release)
			}
		}
	}
}

// TestExitStatus: what is found while metadata is read ends every release with
// status 1, what is found later only those from 256 on.
func TestExitStatus(t *testing.T) {
	for _, test := range []struct {
		rule    verdict.Rule
		release int
		want    int
	}{
		{verdict.PartitionMissing, 252, 1},
		{verdict.SignatureUntrusted, 252, 0},
		{verdict.SignatureUntrusted, 255, 0},
		{verdict.SignatureUntrusted, 256, 1},
		{verdict.PartitionMissing, 262, 1},
		{verdict.TreeBlock, 262, 0},
	} {
		s := verdict.Situation{Release: test.release, Conditions: verdict.TreeUsed}
		got := s.Verdict([]report.Finding{{ID: string(test.rule)}})
		if got.ExitStatus != test.want || !slices.Contains(got.Reasons, test.rule) {
			t.Errorf("%s to %d: %+v, want exit status %d", test.rule, test.release, got, test.want)
		}
	}
}
