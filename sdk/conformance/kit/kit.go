// Package kit holds modules to one specification: the conformance filter of
// sdk/conformance, which is written in every language that has an SDK. It
// makes messages, says what the filter has to do to each, and compares. How a
// module is run is the caller's part.
package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/sdk/host"
)

// A Case is one message under one configuration.
type Case struct {
	Name       string // of the message
	Message    []byte
	Sender     string
	Recipients []string
	Config     Config
}

// An Outcome is what became of a case.
type Outcome struct {
	Failed  bool              // the filter gave up; then nothing is changed
	Why     string            // it failed, if that is known
	Message []byte            // afterwards
	Refused map[string]string // reply by recipient
}

// A Runner runs one module under one configuration.
type Runner interface {
	// Run asks the module's on_message about the message of a case.
	Run(ctx context.Context, c Case) (Outcome, error)
	Close() error
}

// A Loader starts the module with a configuration as JSON.
type Loader func(ctx context.Context, config json.RawMessage) (Runner, error)

// A Difference is one case in which a module does not do what it should.
type Difference struct {
	Case   string `json:"case"`
	Config string `json:"config"`
	What   string `json:"what"` // one line, or a few
}

// A Report is what the kit found.
type Report struct {
	Cases       int          `json:"cases"`
	Differences []Difference `json:"differences"`
}

// Check runs every message under every configuration of [Configs], and
// compares with what [Filter] makes of it. It is an error if the module cannot
// be started, or if it cannot be asked; what it does wrong is in the report.
func Check(ctx context.Context, load Loader, messages []Message) (*Report, error) {
	report := &Report{Differences: []Difference{}}
	for _, config := range Configs() {
		if err := report.check(ctx, load, config, messages); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (r *Report) check(ctx context.Context, load Loader, config Config, messages []Message) error {
	encoded, err := json.Marshal(config)
	if err != nil {
		return err
	}
	runner, err := load(ctx, encoded)
	if err != nil {
		return fmt.Errorf("load with configuration %s: %w", encoded, err)
	}
	defer runner.Close()
	for _, m := range messages {
		c := Case{Name: m.Name, Message: m.Octets, Sender: "alice@crepes.fr", Recipients: recipients, Config: config}
		got, err := runner.Run(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		r.Cases++
		if what := compare(got, Expect(c)); what != "" {
			r.Differences = append(r.Differences, Difference{Case: m.Name, Config: string(encoded), What: what})
		}
	}
	return nil
}

// compare tells the first difference; empty if there is none.
func compare(got, want Outcome) string {
	if got.Failed != want.Failed {
		return strings.TrimSuffix(fmt.Sprintf("the hook failed: %t, want %t: %s", got.Failed, want.Failed, got.Why), ": ")
	}
	if !bytes.Equal(got.Message, want.Message) {
		return firstDifference(got.Message, want.Message)
	}
	for _, rcpt := range recipients {
		if g, w := got.Refused[rcpt], want.Refused[rcpt]; g != w {
			return fmt.Sprintf("reply to %s: got %q, want %q", rcpt, g, w)
		}
	}
	return ""
}

// around is how much of two messages is shown where they begin to differ.
const around = 60 // octets

func firstDifference(got, want []byte) string {
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	show := func(b []byte) []byte { return b[max(0, i-around/2):min(len(b), i+around)] }
	return fmt.Sprintf("message differs at octet %d (of %d, want %d):\n  got  %q\n  want %q", i, len(got), len(want), show(got), show(want))
}

// recipients of every case. One differs from another in case only, as far as
// the domain goes.
var recipients = []string{"carol@example.org", "bob@example.org", "Bob.Smith@example.org"}

// ReplyText is a reply as an [Outcome] has it.
func ReplyText(r *host.Reply) string {
	return strings.Join(slices.DeleteFunc([]string{fmt.Sprint(r.Code), r.Enhanced, r.Text}, func(s string) bool { return s == "" }), " ")
}
