package offline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/report"
)

// A Recorder makes steps of a report of what a pipeline tells its tracer, and
// keeps what is logged meanwhile.
type Recorder struct {
	Rest slog.Handler // what is logged while no message is on its way; nil: nobody wants it

	// Remembered is what a stage remembers, in lines; nil: nothing is.
	Remembered func(stage string) []string

	mu    sync.Mutex // guards what follows: guests log from goroutines of their own
	runs  bool
	steps []report.Step
	notes []string
	log   []string            // of the stage that is being asked
	count []string            // what it counted
	store map[string][]string // what each stage remembered at its last step
	err   error
}

var _ pipeline.Tracer = (*Recorder)(nil)

func (r *Recorder) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs, r.steps, r.notes, r.log, r.count, r.err = true, nil, nil, nil, nil, nil
	if r.store == nil {
		r.store = map[string][]string{}
	}
}

// Note adds a line to the notes of the report, once.
func (r *Recorder) Note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// Counted keeps what the stage that is being asked counts.
func (r *Recorder) Counted(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count = append(r.count, text)
}

func (r *Recorder) end() ([]report.Step, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = false
	return r.steps, r.notes
}

// Traced implements [pipeline.Tracer].
func (r *Recorder) Traced(t pipeline.Trace) {
	step := report.Step{Stage: t.Stage, Hook: t.Hook, About: about(&t), Verdict: word(&t)}
	step.Used = report.Usage{
		Time: t.Answer.Used.Time, Fuel: t.Answer.Used.Fuel, Calls: t.Answer.Used.HostCalls, Memory: t.Answer.Used.Memory,
	}
	if step.Used.Time == 0 {
		step.Used.Time = t.Took
	}
	switch {
	case t.Tripped:
		step.Skipped = "it failed too often"
	case !t.Asked && t.Err == nil:
		step.Skipped = "its condition does not hold"
	}
	if t.Reply != nil {
		step.Reply = t.Reply.Error()
	}
	if t.Err != nil {
		step.Error = t.Err.Error()
	} else {
		step.Reason = t.Answer.Reason
	}
	err := r.compare(&step, &t)
	r.compareStore(&step)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	step.Log, r.log = r.log, nil
	step.Counted, r.count = r.count, nil
	r.steps = append(r.steps, step)
}

// compare finds what the stage did.
func (r *Recorder) compare(step *report.Step, t *pipeline.Trace) error {
	before, after := state(&t.Before), state(&t.After)
	var err error
	if step.Changes, err = report.Compare(before, after); err != nil {
		return err
	}
	if step.Changes.Empty() {
		step.Changes = nil
	}
	for _, v := range t.Answer.Variants {
		q := queued(v)
		octets, err := mail.ReadAll(v.Content)
		if err != nil {
			return err
		}
		own := *before // but for who it is for, which its line says
		own.Content = mail.Bytes(octets)
		if q.Changes, err = report.Compare(before, &own); err != nil {
			return err
		}
		step.Parts = append(step.Parts, q)
	}
	for _, s := range t.Answer.Sends {
		q := queued(s)
		octets, err := mail.ReadAll(s.Content)
		if err != nil {
			return err
		}
		if q.Changes, err = report.Compare(&report.State{Content: mail.Bytes("\r\n")}, &report.State{Content: mail.Bytes(octets)}); err != nil {
			return err
		}
		q.Subject = subject(mail.Bytes(octets))
		step.Sent = append(step.Sent, q)
	}
	return nil
}

// compareStore finds what the stage remembers now. What it remembered before
// its first step of a message is what it did at the end of the last one.
func (r *Recorder) compareStore(step *report.Step) {
	if r.Remembered == nil {
		return
	}
	now := r.Remembered(step.Stage)
	step.Remembered = report.DiffLines(r.store[step.Stage], now)
	r.store[step.Stage] = now
}

func state(s *pipeline.Snapshot) *report.State {
	return &report.State{
		Envelope: s.Envelope, Content: s.Content, Hold: s.Hold,
		Notes: s.Notes, SessionNotes: s.SessionNotes, QueuedNotes: s.QueuedNotes,
	}
}

// word is the verdict as the stage gave it, or what its on_error made of a
// failure.
func word(t *pipeline.Trace) string {
	if t.Err == nil && t.Asked {
		return t.Answer.Verdict.String()
	}
	return t.Verdict.String()
}

// about is the recipient that is asked about, or those of a part of a message
// that was divided.
func about(t *pipeline.Trace) string {
	rcpts := t.Before.Envelope.Recipients
	switch {
	case t.Hook == mail.HookRcpt && len(rcpts) > 0:
		return rcpts[len(rcpts)-1].Path.String()
	case t.Hook == mail.HookLocal || t.Hook == mail.HookRoute || t.Hook == mail.HookDelivery:
	case t.ID == queueID || t.ID == "":
		return ""
	}
	names := make([]string, 0, len(rcpts))
	for i := range rcpts {
		names = append(names, rcpts[i].Path.String())
	}
	return "for " + strings.Join(names, ", ")
}

// Enabled implements [slog.Handler].
func (r *Recorder) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// pluginLog is what package wasm logs a plugin's own lines under.
const pluginLog = "plugin log"

// known are the events that steps tell of already.
var known = map[string]bool{"plugin failed": true, "judged": true, "divided": true}

// Handle implements [slog.Handler].
func (r *Recorder) Handle(ctx context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.runs {
		if r.Rest == nil {
			return nil
		}
		return r.Rest.Handle(ctx, record)
	}
	text := ""
	var attrs []string
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "text" {
			text = a.Value.String()
		} else if a.Key != "queue_id" {
			attrs = append(attrs, fmt.Sprintf("%s=%q", a.Key, a.Value.String()))
		}
		return true
	})
	switch {
	case record.Message == pluginLog:
		r.log = append(r.log, strings.ToLower(record.Level.String())+": "+text)
	case record.Level >= slog.LevelWarn && !known[record.Message]:
		r.notes = append(r.notes, strings.Join(append([]string{record.Message + ":"}, attrs...), " "))
	}
	return nil
}

// WithAttrs implements [slog.Handler].
func (r *Recorder) WithAttrs([]slog.Attr) slog.Handler { return r }

// WithGroup implements [slog.Handler].
func (r *Recorder) WithGroup(string) slog.Handler { return r }
