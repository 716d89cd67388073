package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/wasmta/wasmta/mta/internal/daemon"
	"github.com/wasmta/wasmta/sdk/conformance/kit"
)

// maxShown is how many differences are printed; the count has all.
const maxShown = 10

// PluginConformCmd holds a module to the conformance filter.
type PluginConformCmd struct {
	Path     string   `arg:"" type:"path" help:"A .wasm file, or a plugin's folder."`
	Messages []string `type:"existingdir" placeholder:"DIR" help:"Folders of messages to run it on, beside those that are generated."`
	Count    int      `default:"300" help:"How many messages to generate."`
	Seed     uint64   `default:"1" help:"What to generate them from."`
	JSON     bool     `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (PluginConformCmd) Help() string {
	return "The filter is specified in sdk/conformance/README.md.\n\nExample: mta plugin conform sdk/conformance/filters/go"
}

// Run prints what differs.
func (c PluginConformCmd) Run(g *Globals) error {
	messages := kit.Generate(c.Count, c.Seed)
	for _, dir := range c.Messages {
		more, err := kit.Folder(dir)
		if err != nil {
			return err
		}
		messages = append(messages, more...)
	}
	report, err := daemon.Conform(context.Background(), c.Path, messages, pluginLog(g))
	if err != nil {
		return err
	}
	if err := c.print(g, report); err != nil {
		return err
	}
	if len(report.Differences) > 0 {
		return &exitError{code: 1}
	}
	return nil
}

func (c PluginConformCmd) print(g *Globals, r *kit.Report) error {
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(r)
	}
	for _, d := range r.Differences[:min(len(r.Differences), maxShown)] {
		fmt.Fprintf(g.Stdout, "%s\n  configuration %s\n  %s\n", d.Case, d.Config, d.What)
	}
	_, err := fmt.Fprintf(g.Stdout, "%d cases, %d differ\n", r.Cases, len(r.Differences))
	return err
}
