package main

import (
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/wasmta/wasmta/mta/internal/daemon"
)

// VersionCmd prints what this binary is.
type VersionCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (VersionCmd) Help() string { return "Example: mta version --json" }

// Run prints the version, the Go version and the version of the plugin ABI.
func (v VersionCmd) Run(g *Globals) error {
	version, abiVersion := daemon.Version(), daemon.ABIVersion()
	if v.JSON {
		return json.NewEncoder(g.Stdout).Encode(map[string]string{
			"version": version, "go": runtime.Version(), "abi": abiVersion,
		})
	}
	_, err := fmt.Fprintf(g.Stdout, "mta %s (%s, plugin ABI %s)\n", version, runtime.Version(), abiVersion)
	return err
}
