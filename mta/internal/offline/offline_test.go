package offline

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/report"
)

// A guest is a stage written as a function for each hook.
type guest map[string]func(tx *mail.Transaction) (mail.Answer, error)

func (g guest) Handle(_ context.Context, hook string, tx *mail.Transaction) (mail.Answer, error) {
	return g[hook](tx)
}

// runnerOf is a runner of stages with names a, b, c…
func runnerOf(guests ...guest) *Runner {
	recorder := &Recorder{}
	p := &pipeline.Pipeline{Hostname: "mx.hamburger.edu", Log: slog.New(recorder), Tracer: recorder}
	for i, g := range guests {
		hooks := make([]string, 0, len(g))
		for hook := range g {
			hooks = append(hooks, hook)
		}
		p.Stages = append(p.Stages, pipeline.Stage{Name: string(rune('a' + i)), Guest: g, Hooks: hooks})
	}
	return &Runner{Pipeline: p, Recorder: recorder, Hostname: "mx.hamburger.edu", Now: func() time.Time { return Noon }}
}

const letter = "Return-Path: <alice@crepes.fr>\nTo: Bob <bob@hamburger.edu>, carol@hamburger.edu\nSubject: Hello\n\nHello\n"

func run(t *testing.T, r *Runner, m Message) *Outcome {
	t.Helper()
	if m.Octets == nil {
		m.Octets = []byte(letter)
	}
	o, err := r.Run(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func answer(a mail.Answer) func(*mail.Transaction) (mail.Answer, error) {
	return func(*mail.Transaction) (mail.Answer, error) { return a, nil }
}

func TestAMessageIsAskedAboutAsInASession(t *testing.T) {
	var asked []string
	g := guest{}
	for _, hook := range []string{mail.HookConnect, mail.HookHelo, mail.HookAuth, mail.HookMail, mail.HookRcpt, mail.HookData, mail.HookHeaders, mail.HookMessage} {
		g[hook] = func(tx *mail.Transaction) (mail.Answer, error) {
			asked = append(asked, hook)
			if hook == mail.HookMessage {
				octets, err := mail.ReadAll(tx.Content)
				want := "Received: from crepes.fr ([192.0.2.1])\r\n\tby mx.hamburger.edu with ESMTPA\r\n\tid 0MTARVN000000001;\r\n\tTue, 24 Nov 2026 10:00:00 +0000\r\nReturn-Path:"
				if err != nil || !strings.HasPrefix(string(octets), want) || strings.Contains(strings.ReplaceAll(string(octets), "\r\n", ""), "\n") {
					t.Errorf("content %q, %v", octets, err)
				}
			}
			return mail.Answer{}, nil
		}
	}
	o := run(t, runnerOf(g), Message{Account: "alice"})
	want := []string{
		mail.HookConnect, mail.HookHelo, mail.HookAuth, mail.HookMail, mail.HookRcpt, mail.HookRcpt, mail.HookData, mail.HookHeaders, mail.HookMessage,
	}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if o.Verdict != mail.Accept || len(o.Queued) != 1 || o.Report.Verdict != "accept" || len(o.Report.Steps) != len(want) {
		t.Errorf("%+v", o.Report)
	}
}

func TestWhatIsNotGivenIsTakenFromTheMessage(t *testing.T) {
	for name, tt := range map[string]struct {
		message string
		from    string
		to      []string
		assumed map[string]string
	}{
		"from and to":  {"From: A <a@x.example>\nTo: b@y.example\nCc: C <c@y.example>, b@y.example\n\n", "a@x.example", []string{"b@y.example", "c@y.example"}, map[string]string{"from": "its From", "to": "its To, Cc", "client": "made up"}},
		"delivered-to": {"Return-Path: <>\nDelivered-To: b@y.example\nTo: c@y.example\n\n", "", []string{"b@y.example"}, map[string]string{"from": "its Return-Path", "to": "its Delivered-To", "client": "made up"}},
		"a mailbox":    {"From a@x.example Tue Nov 24\nFrom: b@x.example\n\n", "b@x.example", []string{"postmaster@mx.hamburger.edu"}, map[string]string{"from": "its From", "to": "made up, as no field names one", "client": "made up"}},
		"nothing":      {"", "", []string{"postmaster@mx.hamburger.edu"}, map[string]string{"from": "no field names a sender", "to": "made up, as no field names one", "client": "made up"}},
		"nonsense":     {"From: <<>\nTo: x, y, <\n\n", "", []string{"postmaster@mx.hamburger.edu"}, map[string]string{"from": "no field names a sender", "to": "made up, as no field names one", "client": "made up"}},
	} {
		o := run(t, runnerOf(), Message{Octets: []byte(tt.message)})
		if r := o.Report; r.From != tt.from || !slices.Equal(r.To, tt.to) || !cmp.Equal(r.Assumed, tt.assumed) {
			t.Errorf("%s: from %q to %q, %v", name, r.From, r.To, r.Assumed)
		}
	}
}

func TestRecipientsCanBeRefusedOneByOne(t *testing.T) {
	greylist := guest{mail.HookRcpt: func(tx *mail.Transaction) (mail.Answer, error) {
		rcpt := &tx.Envelope.Recipients[len(tx.Envelope.Recipients)-1]
		switch rcpt.Path.Local {
		case "bob":
			return mail.Answer{Verdict: mail.Defer, Code: 451, Enh: "4.7.1", Text: "Greylisted"}, nil
		case "dave":
			rcpt.Refused = &mail.Refusal{Code: 550, Enh: "5.1.1", Text: "Nobody"}
		}
		return mail.Answer{}, nil
	}}
	o := run(t, runnerOf(greylist), Message{})
	if o.Verdict != mail.Accept || len(o.Queued) != 1 || len(o.Queued[0].Envelope.Recipients) != 1 {
		t.Errorf("one of two: %+v", o.Report)
	}
	if want := []string{"bob@hamburger.edu was refused at RCPT: 451 4.7.1 Greylisted"}; !slices.Equal(o.Report.Notes, want) {
		t.Errorf("notes %q, want %q", o.Report.Notes, want)
	}
	if s := o.Report.Steps[0]; s.About != "bob@hamburger.edu" || s.Verdict != "defer" || s.Reply != "451 4.7.1 Greylisted" {
		t.Errorf("step %+v", s)
	}
	bob, dave := mail.Path{Local: "bob", Domain: "hamburger.edu"}, mail.Path{Local: "dave", Domain: "hamburger.edu"}
	if o := run(t, runnerOf(greylist), Message{To: []mail.Path{bob}}); o.Report.Verdict != "defer" || o.Report.Reply != "451 4.7.1 Greylisted" {
		t.Errorf("the only one: %+v", o.Report)
	}
	if o := run(t, runnerOf(greylist), Message{To: []mail.Path{dave}}); o.Report.Verdict != "reject" || o.Report.Reply != "550 5.1.1 Nobody" {
		t.Errorf("by its own reply: %+v", o.Report)
	}
}

func TestRefusalsEndTheSession(t *testing.T) {
	no := answer(mail.Answer{Verdict: mail.Reject, Code: 550, Enh: "5.7.1", Text: "No"})
	for _, hook := range []string{mail.HookHelo, mail.HookMail, mail.HookData, mail.HookMessage} {
		o := run(t, runnerOf(guest{hook: no}), Message{})
		if o.Report.Verdict != "reject" || o.Report.Reply != "550 5.7.1 No" || len(o.Queued) != 0 || len(o.Report.Steps) != 1 {
			t.Errorf("%s: %+v", hook, o.Report)
		}
	}
	if o := run(t, runnerOf(guest{mail.HookMail: answer(mail.Answer{Verdict: mail.Discard})}), Message{}); o.Report.Verdict != "discard" || len(o.Queued) != 0 {
		t.Errorf("discard at MAIL: %+v", o.Report)
	}
}

func TestPartsAndWhatIsSentAreReported(t *testing.T) {
	split := guest{mail.HookMessage: func(tx *mail.Transaction) (mail.Answer, error) {
		v := tx.Fork()
		v.Envelope.Recipients = tx.Envelope.Recipients[1:]
		tx.Envelope.Recipients = tx.Envelope.Recipients[:1]
		octets, _ := mail.ReadAll(tx.Content)
		v.Content = mail.Bytes("X-Own: 1\r\n" + string(octets))
		s := &mail.Transaction{Content: mail.Bytes("Subject: Away\r\n\r\nI am away\r\n")}
		s.Envelope.Recipients = []mail.Recipient{{Path: tx.Envelope.ReversePath, Original: tx.Envelope.ReversePath}}
		return mail.Answer{Variants: []*mail.Transaction{v}, Sends: []*mail.Transaction{s}}, nil
	}}
	later := guest{mail.HookMessage: answer(mail.Answer{})}
	o := run(t, runnerOf(split, later), Message{})
	if len(o.Report.Steps) != 3 || o.Report.Steps[2].About != "for carol@hamburger.edu" {
		t.Fatalf("%+v", o.Report.Steps)
	}
	first := o.Report.Steps[0]
	if len(first.Parts) != 1 || !cmp.Equal(first.Parts[0].Changes.Header[0], report.Line{Op: report.Added, Text: "X-Own: 1"}) {
		t.Errorf("parts %+v", first.Parts)
	}
	if len(first.Sent) != 1 || first.Sent[0].Subject != "Away" || !slices.Equal(first.Sent[0].To, []string{"alice@crepes.fr"}) {
		t.Errorf("sent %+v", first.Sent)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := o.Write(dir, "letter"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"letter.eml": "Received:", "letter.2.eml": "X-Own: 1\r\n", "letter.a-1.eml": "Received:"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if got := o.Report.Queued[1].File; got != filepath.Join(dir, "letter.2.eml") {
		t.Errorf("the report says %q", got)
	}
}

// A refuser says no to the second recipient of each attempt, and sends a message.
type refuser struct{}

func (refuser) Deliver(_ context.Context, m *mail.Message) []mail.Result {
	note := &mail.Transaction{Content: mail.Bytes("Subject: note\r\n\r\n"), SentBy: "a"}
	note.Envelope.Recipients = []mail.Recipient{{Path: m.Envelope.ReversePath}}
	m.Sends = append(m.Sends, note)
	results := make([]mail.Result, len(m.Envelope.Recipients))
	for i := range results {
		results[i].Outcome = mail.Delivered
	}
	results[1] = mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "5.7.1", Text: "Not to her"}
	return results
}

func TestAnAttemptIsMadeAtWhatWouldBeQueued(t *testing.T) {
	r := runnerOf()
	r.Attempt, r.Where = refuser{}, func(*mail.Recipient) string { return "mailbox" }
	q := run(t, r, Message{}).Report.Queued
	if len(q) != 2 || !slices.Equal(q[0].Where, []string{"mailbox", "bounced 550 5.7.1 Not to her"}) || q[1].By != "a" {
		t.Errorf("%+v", q)
	}
	hold := guest{mail.HookMessage: answer(mail.Answer{Verdict: mail.Quarantine, Reason: "no"})}
	r = runnerOf(hold)
	r.Attempt = refuser{}
	if q := run(t, r, Message{}).Report.Queued; len(q) != 1 {
		t.Errorf("an attempt at a message that is held: %+v", q)
	}
}

func TestAStageThatFailsSaysWhy(t *testing.T) {
	o := run(t, runnerOf(guest{mail.HookMessage: func(tx *mail.Transaction) (mail.Answer, error) {
		return mail.Answer{Used: mail.Usage{Fuel: 7}}, errors.New("plugin a: on_message: out of fuel")
	}}), Message{})
	want := report.Step{Stage: "a", Hook: mail.HookMessage, Verdict: "defer", Reply: "451 4.3.0 Local error in processing, try again later",
		Error: "plugin a: on_message: out of fuel", Used: report.Usage{Fuel: 7}}
	got := o.Report.Steps[0]
	got.Used.Time = 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if o.Report.Verdict != "defer" || o.Report.Used.Fuel != 7 {
		t.Errorf("%+v", o.Report)
	}
}

func TestLogLinesGoToTheStepThatWroteThem(t *testing.T) {
	r := runnerOf()
	log := slog.New(r.Recorder)
	says := func(text string) guest {
		return guest{mail.HookMessage: func(*mail.Transaction) (mail.Answer, error) {
			log.With("plugin", "x").Warn(pluginLog, "text", text)
			log.Debug(pluginLog, "text", "hidden")
			return mail.Answer{}, nil
		}}
	}
	p := r.Pipeline.(*pipeline.Pipeline)
	for i, g := range []guest{says("one"), says("two")} {
		p.Stages = append(p.Stages, pipeline.Stage{Name: string(rune('a' + i)), Guest: g})
	}
	o := run(t, r, Message{})
	if a, b := o.Report.Steps[0].Log, o.Report.Steps[1].Log; !slices.Equal(a, []string{"warn: one"}) || !slices.Equal(b, []string{"warn: two"}) {
		t.Errorf("%q, %q", a, b)
	}
}
