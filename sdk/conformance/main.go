// Command conformance tells whether a module does to every message what the
// conformance filter of README.md has to do.
//
//	go run ./sdk/conformance module.wasm
//
// It is `mta plugin conform` by another name: modules are run by the server's
// own sandbox, which is not part of the SDK.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// server is the package that runs modules.
const server = "github.com/wasmta/wasmta/mta"

func main() {
	args := append([]string{"run", server, "plugin", "conform"}, os.Args[1:]...)
	cmd := exec.Command("go", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}
