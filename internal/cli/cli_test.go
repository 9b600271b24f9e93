package cli_test

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"sextant/internal/cli"
	"sextant/internal/golden"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sextant": func() {
			os.Exit(cli.Main(context.Background(), cli.System(), os.Args[1:]))
		},
	})
}

// TestScripts runs the whole program by the scripts in testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", UpdateScripts: golden.Update()})
}
