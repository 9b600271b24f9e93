package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/config"
)

// TestDocumented keeps docs/config.md complete.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range config.Settings() {
		if s.Effect != config.Works {
			continue
		}
		if !strings.Contains(string(text), "`"+s.Flag+"`") {
			t.Errorf("docs/config.md does not name %s", s.Flag)
		}
		if s.Section != "" && !strings.Contains(string(text), s.Name+"=`") {
			t.Errorf("docs/config.md does not name %s=", s.Name)
		}
		for _, c := range s.Companions {
			if !strings.Contains(string(text), c) {
				t.Errorf("docs/config.md does not name %s", c)
			}
		}
	}
}
