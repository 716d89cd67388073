// Command mta is a mail transfer agent whose filters are WebAssembly plugins.
//
//	mta --pipeline pipeline.yaml
//
// serves until SIGTERM. The other commands check a pipeline file, look into
// the queue and keep the accounts; `mta --help` lists them.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/wasmta/wasmta/mta/internal/config"
)

// commands is the command line.
type commands struct {
	Globals

	Serve   ServeCmd   `cmd:"" default:"withargs" help:"Serve until SIGTERM (the default)."`
	Check   CheckCmd   `cmd:"" help:"Say everything that a start would refuse, without starting."`
	Run     RunCmd     `cmd:"" help:"Take messages through the pipeline without a server, and show what each stage does."`
	Test    TestCmd    `cmd:"" help:"Run the tests of the pipeline file, or those of plugins."`
	Queue   QueueCmd   `cmd:"" help:"Look into the queue of a running server, and change it."`
	Account AccountCmd `cmd:"" help:"Add, list and remove accounts, and set passwords."`
	Plugin  PluginCmd  `cmd:"" help:"Make, build, inspect and pin plugins."`
	Version VersionCmd `cmd:"" help:"Print the version."`
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main with its surroundings handed in. It returns the exit code: 0
// done, 1 the answer is no, 2 wrong usage.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c commands
	c.Stdin, c.Stdout, c.Stderr = stdin, stdout, stderr
	exited := -1
	parser, err := newParser(&c, kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(stderr, "mta:", err)
		return 2
	}
	ctx, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintln(stderr, "mta:", usageText(err))
		return 2
	}
	return exitCode(ctx.Run(&c.Globals), stderr)
}

func newParser(c *commands, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append(options,
		kong.Name("mta"),
		kong.Description("A mail transfer agent whose filters are WebAssembly plugins.\n\nExample: mta --pipeline pipeline.yaml"),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)...)
}

// exitCode prints err, once, and gives the exit code it stands for. Findings
// begin with their place, so that editors can jump to them.
func exitCode(err error, stderr io.Writer) int {
	if err == nil {
		return 0
	}
	if findings, ok := errors.AsType[config.Findings](err); ok {
		fmt.Fprintln(stderr, findings)
	} else if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "mta:", text)
	}
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	return 1
}
