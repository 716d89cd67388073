package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A Test is what came of one test.
type Test struct {
	Name     string        `json:"name"`
	Where    string        `json:"where"` // the file, and the place in it
	Failures []Failure     `json:"failures,omitempty"`
	Skipped  string        `json:"skipped,omitempty"` // why it was not run
	Updated  bool          `json:"updated,omitempty"` // what came of it is now what its file wants
	Took     time.Duration `json:"ns"`
}

// Failed tells whether something was otherwise than wanted.
func (t *Test) Failed() bool { return len(t.Failures) > 0 }

// A Failure is one thing that was otherwise than wanted: lines that were wanted
// and did not come are removed, those that came instead added.
type Failure struct {
	What    string   `json:"what"`
	Lines   []Line   `json:"lines,omitempty"`
	Changes *Changes `json:"changes,omitempty"` // from the message that was wanted to the one that came
}

// NewFailure compares lines.
func NewFailure(what string, want, got []string) Failure {
	return Failure{What: what, Lines: changedLines(want, got, 3)}
}

// MessageFailure compares messages.
func MessageFailure(what string, want, got []byte) (Failure, error) {
	c, err := Compare(&State{Content: mail.Bytes(want)}, &State{Content: mail.Bytes(got)})
	return Failure{What: what, Changes: c}, err
}

// WriteTests writes a line for each test, and what was wrong with those that
// failed.
func WriteTests(w io.Writer, tests []Test, style Style) error {
	p := &page{style: style}
	names := 0
	for i := range tests {
		names = max(names, min(50, utf8.RuneCountInString(tests[i].Name)))
	}
	failed, skipped := 0, 0
	for i := range tests {
		t := &tests[i]
		p.test(t, names)
		if t.Failed() {
			failed++
		}
		if t.Skipped != "" {
			skipped++
		}
	}
	p.sum(len(tests), failed, skipped)
	_, err := w.Write(p.Bytes())
	return err
}

func (p *page) test(t *Test, names int) {
	word, color := "ok", green
	switch {
	case t.Skipped != "":
		word, color = "skip", yellow
	case t.Updated:
		word, color = "new", yellow
	case t.Failed():
		word, color = "FAIL", red
	}
	p.WriteString(p.paint(color, fmt.Sprintf("%-4s", word)) + "  " + fmt.Sprintf("%-*s", names, visible(t.Name)) + "  " +
		p.paint(dim, visible(t.Where)+"  "+took(t.Took)) + "\n")
	if t.Skipped != "" {
		p.line(dim, "      "+visible(t.Skipped))
	}
	for _, f := range t.Failures {
		p.section(f.What, f.Lines)
		if f.Changes != nil {
			p.line(cyan, "    "+f.What)
			p.changes(f.Changes)
		}
		if len(f.Lines) == 0 && f.Changes == nil {
			p.line(red, "    "+visible(f.What))
		}
	}
}

func (p *page) sum(all, failed, skipped int) {
	parts := []string{counted(all, "test")}
	if failed > 0 {
		parts = append(parts, p.paint(red, fmt.Sprintf("%d failed", failed)))
	}
	if skipped > 0 {
		parts = append(parts, fmt.Sprintf("%d skipped", skipped))
	}
	if failed+skipped == 0 && all > 0 {
		parts = append(parts, p.paint(green, "all ok"))
	}
	p.WriteString(strings.Join(parts, ", ") + "\n")
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// WriteTestsJSON writes tests as one JSON value: a list.
func WriteTestsJSON(w io.Writer, tests []Test) error {
	if tests == nil {
		tests = []Test{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(tests)
}
