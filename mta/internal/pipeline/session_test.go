package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A hooked guest answers by the hook, and notes in the envelope's ID what it
// was asked.
type hooked struct {
	name    string
	answers map[string]mail.Answer
	fail    bool
}

func (g hooked) Handle(_ context.Context, hook string, tx *mail.Transaction) (mail.Answer, error) {
	tx.Envelope.EnvID += " " + g.name + ":" + strings.TrimPrefix(hook, "on_")
	if g.fail {
		return mail.Answer{}, errors.New("it broke")
	}
	return g.answers[hook], nil
}

func at(hook string, a mail.Answer) map[string]mail.Answer { return map[string]mail.Answer{hook: a} }

var sessionHooks = []string{mail.HookConnect, mail.HookMail, mail.HookRcpt, mail.HookHeaders, mail.HookMessage}

func TestAsk(t *testing.T) {
	session := func() *mail.Transaction { return &mail.Transaction{} }
	open := func() *mail.Transaction { tx := to("a"); tx.Content = nil; return tx }
	for _, tt := range []struct {
		name   string
		hook   string
		tx     *mail.Transaction
		answer mail.Answer
		fail   OnError // not empty: the first stage fails
		want   mail.Verdict
		reply  string
		asked  string
		hold   string
	}{
		{name: "continue", hook: mail.HookMail, tx: open(), asked: " a:mail b:mail"},
		{name: "accept keeps the later ones from this hook", hook: mail.HookMail, tx: open(), answer: mail.Answer{Verdict: mail.Accept}, asked: " a:mail"},
		{name: "reject a connection", hook: mail.HookConnect, tx: session(), answer: mail.Answer{Verdict: mail.Reject},
			want: mail.Reject, reply: "554 5.7.1 Connection refused by local policy", asked: " a:connect"},
		{name: "defer a recipient", hook: mail.HookRcpt, tx: open(), answer: mail.Answer{Verdict: mail.Defer},
			want: mail.Defer, reply: "450 4.7.1 Recipient deferred by local policy, try again later", asked: " a:rcpt"},
		{name: "discard a message", hook: mail.HookMail, tx: open(), answer: mail.Answer{Verdict: mail.Discard}, want: mail.Discard, asked: " a:mail"},
		{name: "discard a connection: there is nothing to discard", hook: mail.HookConnect, tx: session(), answer: mail.Answer{Verdict: mail.Discard},
			want: mail.Defer, reply: "421 4.3.0 Local error in processing, try again later"},
		{name: "quarantine what comes", hook: mail.HookConnect, tx: session(), answer: mail.Answer{Verdict: mail.Quarantine, Reason: "odd"}, asked: " a:connect b:connect", hold: "odd"},
		{name: "variants before there is a message", hook: mail.HookRcpt, tx: open(), answer: mail.Answer{Variants: []*mail.Transaction{{}}},
			want: mail.Defer, reply: "451 4.3.0 Local error in processing, try again later"},
		{name: "failure defers", hook: mail.HookRcpt, tx: open(), fail: Defer, want: mail.Defer, reply: "451 4.3.0 Local error in processing, try again later"},
		{name: "failure is skipped", hook: mail.HookRcpt, tx: open(), fail: Skip, asked: " b:rcpt"},
		{name: "failure rejects", hook: mail.HookRcpt, tx: open(), fail: Reject, want: mail.Reject, reply: "554 5.3.0 Recipient cannot be processed"},
		{name: "failure quarantines", hook: mail.HookConnect, tx: session(), fail: Quarantine, asked: " b:connect", hold: "stage a failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Pipeline{Stages: []Stage{
				{Name: "a", Guest: hooked{"a", at(tt.hook, tt.answer), tt.fail != ""}, Hooks: sessionHooks, OnError: tt.fail},
				{Name: "messages", Guest: hooked{name: "never"}},
				{Name: "b", Guest: hooked{name: "b"}, Hooks: sessionHooks},
			}}
			if !p.Asks(tt.hook) || p.Asks(mail.HookAuth) {
				t.Error("Asks is wrong")
			}
			verdict, err := p.Ask(t.Context(), tt.hook, tt.tx)
			reply := ""
			if err != nil {
				reply = err.Error()
			}
			if verdict != tt.want || reply != tt.reply {
				t.Errorf("got %s, %q; want %s, %q", verdict, reply, tt.want, tt.reply)
			}
			if tt.tx.Envelope.EnvID != tt.asked || tt.tx.Hold != tt.hold {
				t.Errorf("asked %q and hold %q; want %q and %q", tt.tx.Envelope.EnvID, tt.tx.Hold, tt.asked, tt.hold)
			}
		})
	}
}

func TestDiscardBeforeTheContentEndsIt(t *testing.T) {
	p := &Pipeline{Stages: []Stage{{Name: "a", Guest: hooked{"a", at(mail.HookMail, mail.Answer{Verdict: mail.Discard}), false}, Hooks: sessionHooks}}}
	tx := to("a")
	tx.Content = nil
	if verdict, err := p.Ask(t.Context(), mail.HookMail, tx); verdict != mail.Discard || err != nil {
		t.Fatalf("got %s, %v", verdict, err)
	}
	if verdict, err := p.Ask(t.Context(), mail.HookRcpt, tx); verdict != mail.Continue || err != nil {
		t.Errorf("the next hook: %s, %v", verdict, err)
	}
	tx.Content = mail.Bytes("hi\r\n")
	if verdict, err := p.Check(t.Context(), tx); verdict != mail.Discard || err != nil || tx.Envelope.EnvID != " a:mail" {
		t.Errorf("got %s, %v after %s", verdict, err, tx.Envelope.EnvID)
	}
}

// TestHeadersComeBeforeMessages holds the order of the hooks that see content,
// and how far accept and not-again go.
func TestHeadersComeBeforeMessages(t *testing.T) {
	for _, tt := range []struct {
		name   string
		first  map[string]mail.Answer
		before []string // hooks asked by Ask
		want   string
	}{
		{"all continue", nil, nil, " a:headers b:headers a:message b:message"},
		{"accept at headers", at(mail.HookHeaders, mail.Answer{Verdict: mail.Accept}), nil, " a:headers a:message b:message"},
		{"accept at message", at(mail.HookMessage, mail.Answer{Verdict: mail.Accept}), nil, " a:headers b:headers a:message"},
		{"not again at headers", at(mail.HookHeaders, mail.Answer{NotAgain: true}), nil, " a:headers b:headers b:message"},
		{"not again at mail", at(mail.HookMail, mail.Answer{NotAgain: true}), []string{mail.HookMail, mail.HookRcpt},
			" a:mail b:mail b:rcpt b:headers b:message"},
		{"accept at mail", at(mail.HookMail, mail.Answer{Verdict: mail.Accept}), []string{mail.HookMail, mail.HookRcpt},
			" a:mail a:rcpt b:rcpt a:headers b:headers a:message b:message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Pipeline{Stages: []Stage{
				{Name: "a", Guest: hooked{"a", tt.first, false}, Hooks: sessionHooks},
				{Name: "b", Guest: hooked{name: "b"}, Hooks: sessionHooks},
			}}
			tx := to("x")
			for _, hook := range tt.before {
				if _, err := p.Ask(t.Context(), hook, tx); err != nil {
					t.Fatal(err)
				}
			}
			if verdict, err := p.Check(t.Context(), tx); verdict != mail.Accept || err != nil {
				t.Fatalf("got %s, %v", verdict, err)
			}
			if diff := cmp.Diff(tt.want, tx.Envelope.EnvID); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// knows is a condition about something that is known from a hook on.
type knows struct {
	when
	from string
}

func (k knows) Known(hook string) bool { return hook == k.from || hook == mail.HookMessage }

func TestConditionsWaitUntilTheyCanBeJudged(t *testing.T) {
	p := &Pipeline{Stages: []Stage{{
		Name: "a", Guest: hooked{name: "a"}, Hooks: sessionHooks, When: knows{always(true, nil), mail.HookRcpt},
	}}}
	tx := to("x")
	for _, hook := range []string{mail.HookMail, mail.HookRcpt} {
		if _, err := p.Ask(t.Context(), hook, tx); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Check(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	if want := " a:rcpt a:message"; tx.Envelope.EnvID != want {
		t.Errorf("asked %q, want %q", tx.Envelope.EnvID, want)
	}
}

type traces []Trace

func (t *traces) Traced(one Trace) { *t = append(*t, one) }

func TestTracerSeesWhatEachStageChanged(t *testing.T) {
	var got traces
	p := &Pipeline{Tracer: &got, Stages: []Stage{
		{Name: "0", Guest: script{variant: "b"}.guest("0")},
		{Name: "1", Guest: spoils(func() error { return errors.New("it broke") }), OnError: Skip},
		{Name: "2", Guest: script{}.guest("2"), When: always(false, nil)},
		{Name: "3", Guest: script{only: "b", answer: mail.Answer{Verdict: mail.Reject}}.guest("3")},
	}}
	tx := to("a", "b")
	tx.Notes = map[string]string{}
	if _, err := p.Check(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, tr := range got {
		line := tr.Stage + " " + tr.Hook + " " + tr.Verdict.String()
		switch {
		case tr.Err != nil:
			line += " " + tr.Err.Error()
		case !tr.Asked:
			line += " not asked"
		case tr.Reply != nil:
			line += " " + tr.Reply.Error()
		}
		before, after := string(tr.Before.Content.(mail.Bytes)), string(tr.After.Content.(mail.Bytes))
		lines = append(lines, line+strings.TrimPrefix(after, before))
		if (tr.ID == tx.ID) != (len(lines) <= 4) {
			t.Errorf("%s has the ID %s", line, tr.ID)
		}
	}
	want := []string{
		"0 on_message continue 0:ab", "1 on_message continue it broke", "2 on_message continue not asked", "3 on_message continue 3:a",
		"1 on_message continue it broke", "2 on_message continue not asked", "3 on_message reject 550 5.7.1 Message refused by local policy 3:b",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if n := len(got[0].Before.Envelope.Recipients); n != 2 || len(got[0].After.Envelope.Recipients) != 1 {
		t.Errorf("before the first stage there were %d recipients", n)
	}
}
