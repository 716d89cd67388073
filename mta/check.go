package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/daemon"
)

// CheckCmd says what a start would refuse.
type CheckCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (CheckCmd) Help() string { return "Example: mta check --pipeline pipeline.yaml" }

// Run prints every finding, one a line as `file:line:col: what; cure`.
func (c CheckCmd) Run(g *Globals) error {
	log := slog.New(slog.NewTextHandler(g.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	findings, err := daemon.Check(context.Background(), g.Pipeline, log)
	if err != nil {
		return err
	}
	if err := c.print(g, findings); err != nil {
		return err
	}
	if len(findings) > 0 {
		return &exitError{code: 1}
	}
	return nil
}

func (c CheckCmd) print(g *Globals, findings config.Findings) error {
	if c.JSON {
		if findings == nil {
			findings = config.Findings{}
		}
		return json.NewEncoder(g.Stdout).Encode(findings)
	}
	if len(findings) == 0 {
		_, err := fmt.Fprintf(g.Stdout, "%s: nothing to say against it\n", g.Pipeline)
		return err
	}
	_, err := fmt.Fprintln(g.Stdout, findings.Error())
	return err
}
