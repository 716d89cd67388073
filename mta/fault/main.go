// Fault breaks mta again and again, and accounts for every message that was
// answered 250.
//
//	go run ./mta/fault --help
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path"
	"slices"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/wasmta/wasmta/mta/internal/fault"
)

const description = `Runs mta, sends it mail, breaks what it stands on at random moments, and accounts for every message that was answered 250.

What came of each run goes to standard output, progress to standard error. The exit code is 1 if something was lost, doubled without an excuse, damaged or stuck.

Example: go run ./mta/fault --scenario 'kill*' --store spool --times 5`

type command struct {
	Scenario []string      `help:"Play those that match (* stands for anything); all if left out." placeholder:"NAME"`
	List     bool          `help:"List the scenarios, and play none."`
	Store    string        `help:"spool or redis; both if left out." enum:",spool,redis" default:"" placeholder:"STORE"`
	Times    int           `help:"How often each fault happens; left out: what the scenario says." placeholder:"N"`
	Duration time.Duration `help:"Play all again, with other seeds, until that long has passed." placeholder:"TIME"`
	Seed     uint64        `help:"Of the moments and the mail; left out: from the clock. It is in the output." placeholder:"N"`
	Keep     bool          `help:"Keep the folder of each run: logs, mailboxes, queue."`
	Markdown bool          `help:"Print a table in Markdown."`
	JSON     bool          `help:"Print JSON, one run a line." name:"json"`
	Mta      string        `help:"The binary to break; left out: built from this checkout." placeholder:"FILE"`
}

func main() {
	var c command
	kong.Parse(&c, kong.Name("fault"), kong.Description(description))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := c.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "fault:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func (c *command) run(ctx context.Context) (passed bool, err error) {
	scenarios, err := c.choose()
	if err != nil || c.List {
		for _, s := range scenarios {
			fmt.Printf("%-16s %s\n", s.Name, s.What)
		}
		return true, err
	}
	dir, err := os.MkdirTemp("", "mta-fault-")
	if err != nil {
		return false, err
	}
	if c.Keep {
		fmt.Fprintln(os.Stderr, "kept:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	suite := &fault.Suite{Dir: dir, Binary: c.Mta, Times: c.Times, Keep: c.Keep, Log: c.progress()}
	if c.Store != "" {
		suite.Stores = []string{c.Store}
	}
	results, err := c.play(ctx, suite, scenarios)
	if err := c.print(results); err != nil {
		return false, err
	}
	return !slices.ContainsFunc(results, func(r *fault.Result) bool { return !r.Passed() }), err
}

// progress is where each run is told of at once. Standard output has the same, if
// nothing else was asked for.
func (c *command) progress() io.Writer {
	if c.JSON || c.Markdown {
		return os.Stderr
	}
	return os.Stdout
}

func (c *command) choose() (chosen []*fault.Scenario, err error) {
	for _, s := range fault.Scenarios() {
		matches := len(c.Scenario) == 0
		for _, pattern := range c.Scenario {
			ok, err := path.Match(pattern, s.Name)
			if err != nil {
				return nil, fmt.Errorf("--scenario %s: %w", pattern, err)
			}
			matches = matches || ok
		}
		if matches {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no scenario has such a name; --list shows all")
	}
	return chosen, nil
}

func (c *command) play(ctx context.Context, suite *fault.Suite, scenarios []*fault.Scenario) (results []*fault.Result, err error) {
	seed := c.Seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	start := time.Now()
	for round := 0; ; round++ {
		suite.Seed = seed + uint64(round)
		more, err := suite.Play(ctx, scenarios)
		results = append(results, more...)
		if err != nil || time.Since(start) >= c.Duration {
			return results, err
		}
	}
}

func (c *command) print(results []*fault.Result) error {
	switch {
	case c.Markdown:
		fault.Table(os.Stdout, results)
		return nil
	case !c.JSON:
		fault.List(os.Stdout, results)
		return nil
	}
	out := json.NewEncoder(os.Stdout)
	for _, r := range results {
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}
