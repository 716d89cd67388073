package main

import (
	"context"

	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/mta/internal/report"
)

// TestCmd runs tests.
type TestCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (TestCmd) Help() string { return "Example: mta test --pipeline pipeline.yaml" }

// Run prints a line for each test.
func (c TestCmd) Run(g *Globals) error {
	tests, err := daemon.RunTests(context.Background(), g.Pipeline)
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
