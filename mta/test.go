package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/report"
)

// TestCmd runs tests.
type TestCmd struct {
	Paths  []string `arg:"" optional:"" name:"path" help:"Plugins' folders, or case files (*.txtar). Left out: the tests of the pipeline file, and those that its plugins ship."`
	Plugin string   `help:"Run the cases with this module, and not with the plugin that they lie beside." placeholder:"FILE"`
	Update bool     `help:"Write what came out into the case files, for you to look at."`
	JSON   bool     `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (TestCmd) Help() string {
	return `A test comes to the same every time: it has a clock, random octets and a DNS of its own, and begins with plugins that
remember nothing. The exit code is 1 if one fails.

Example: mta test --pipeline pipeline.yaml

Example: mta test plugins/stamp`
}

// Run prints a line for each test.
func (c TestCmd) Run(g *Globals) error {
	tests, err := c.run(context.Background(), g)
	if err != nil {
		return err
	}
	if c.JSON {
		err = report.WriteTestsJSON(g.Stdout, tests)
	} else {
		err = report.WriteTests(g.Stdout, tests, styleOf(g.Stdout))
	}
	if err != nil {
		return err
	}
	for i := range tests {
		if tests[i].Failed() {
			return &exitError{code: 1}
		}
	}
	return nil
}

func (c TestCmd) run(ctx context.Context, g *Globals) (tests []report.Test, err error) {
	how := daemon.PluginTests{Module: c.Plugin, Update: c.Update, Log: pluginLog(g)}
	if len(c.Paths) > 0 {
		for _, path := range c.Paths {
			more, err := how.Run(ctx, path)
			if err != nil {
				return nil, err
			}
			tests = append(tests, more...)
		}
		return tests, nil
	}
	if c.Plugin != "" {
		return nil, &exitError{code: 2, err: errors.New("--plugin: name the folder of the cases too")}
	}
	tests, err = how.TestPipeline(ctx, g.Pipeline)
	if err == nil && len(tests) == 0 && !c.JSON {
		fmt.Fprintf(g.Stderr, "mta: neither %s nor its plugins have tests; see `mta test --help`\n", g.Pipeline)
	}
	return tests, err
}
