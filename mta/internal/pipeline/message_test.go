package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// to is a message for these local parts at hamburger.edu.
func to(locals ...string) *mail.Transaction {
	tx := transaction()
	tx.Envelope.Recipients = nil
	for _, l := range locals {
		p := mail.Path{Local: l, Domain: "hamburger.edu"}
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{Path: p, Original: p})
	}
	return tx
}

// A script is what a guest does; each letter of it is one thing to do for the
// recipient of that letter.
type script struct {
	refuse  string // 550
	soft    string // 452
	remove  string
	variant string // groups of recipients with a blank between them: a variant each
	send    bool
	only    string // the recipients for whom the answer is not continue; empty: all
	answer  mail.Answer
}

func has(tx *mail.Transaction, locals string) bool {
	return slices.ContainsFunc(tx.Envelope.Recipients, func(r mail.Recipient) bool { return strings.Contains(locals, r.Path.Local) })
}

// guest does what the script says, and leaves its mark in the content with the
// recipients that it saw.
func (s script) guest(mark string) guest {
	return func(_ context.Context, tx *mail.Transaction) (mail.Answer, error) {
		answer := s.answer
		if s.only != "" && !has(tx, s.only) {
			answer = mail.Answer{}
		}
		seen := ""
		var left []mail.Recipient
		for i := range tx.Envelope.Recipients {
			r := &tx.Envelope.Recipients[i]
			l := r.Path.Local
			seen += l
			switch {
			case strings.Contains(s.refuse, l):
				r.Refused = &mail.Refusal{Code: 550, Enh: "5.7.1", Text: "no " + l}
			case strings.Contains(s.soft, l):
				r.Refused = &mail.Refusal{Code: 452, Text: "not now " + l}
			}
			if !strings.Contains(s.remove+s.variant, l) {
				left = append(left, *r)
			}
		}
		for group := range strings.FieldsSeq(s.variant) {
			v := tx.Fork()
			for _, r := range tx.Envelope.Recipients {
				if strings.Contains(group, r.Path.Local) {
					v.Envelope.Recipients = append(v.Envelope.Recipients, r)
				}
			}
			if len(v.Envelope.Recipients) > 0 {
				v.Content = add(tx, " for-"+group)
				answer.Variants = append(answer.Variants, v)
			}
		}
		if s.send {
			answer.Sends = []*mail.Transaction{{Content: mail.Bytes("Subject: sent\r\n\r\n"), Envelope: mail.Envelope{Recipients: tx.Envelope.Recipients[:1:1]}}}
		}
		tx.Envelope.Recipients = left
		tx.Content = add(tx, " "+mark+":"+seen)
		return answer, nil
	}
}

func add(tx *mail.Transaction, what string) mail.Bytes {
	return append(slices.Clone(tx.Content.(mail.Bytes)), what...)
}

// outcomes writes down what is to be queued: the recipients, a refused one with
// its code, and what the stages did to the content.
func outcomes(tx *mail.Transaction) []string {
	var out []string
	for i, part := range append([]*mail.Transaction{tx}, tx.More...) {
		if len(part.Envelope.Recipients) == 0 && i == 0 {
			continue
		}
		line := ""
		for _, r := range part.Envelope.Recipients {
			line += r.Path.Local
			if r.Refused != nil {
				line += fmt.Sprint("(", r.Refused.Code, ")")
			}
		}
		if part.SentBy != "" {
			out = append(out, "sent by "+part.SentBy+" to "+line)
			continue
		}
		_, marks, _ := strings.Cut(string(part.Content.(mail.Bytes)), "\r\n\r\n")
		if part.Hold != "" {
			line += " held"
		}
		out = append(out, line+marks)
	}
	return out
}

func TestParts(t *testing.T) {
	reject, deferred := mail.Answer{Verdict: mail.Reject}, mail.Answer{Verdict: mail.Defer}
	hold := mail.Answer{Verdict: mail.Quarantine}
	discard := mail.Answer{Verdict: mail.Discard}
	for _, tt := range []struct {
		name    string
		stages  []script
		want    mail.Verdict
		reply   string
		outcome []string
	}{
		{"one is refused, and the next stage does not see it", []script{{refuse: "b"}, {}}, mail.Accept, "", []string{"acb(550) 0:abc 1:ac"}},
		{"one is refused for now: that is the caller's to weigh", []script{{soft: "b"}}, mail.Accept, "", []string{"acb(452) 0:abc"}},
		{"all are refused, and no further stage is asked", []script{{refuse: "abc"}, {send: true}}, mail.Reject, "550 5.7.1 no a", nil},
		{"all are refused, one for now", []script{{refuse: "ab", soft: "c"}}, mail.Defer, "452 4.7.1 not now c", nil},
		{"all are refused by different stages", []script{{refuse: "a"}, {refuse: "bc"}}, mail.Reject, "550 5.7.1 no a", nil},
		{"one is refused, then all", []script{{refuse: "b"}, {answer: reject}}, mail.Reject, "550 5.7.1 no b", nil},
		{"one is refused, then the rest deferred", []script{{refuse: "b"}, {answer: deferred}}, mail.Defer, "451 4.7.1 Message deferred by local policy, try again later", nil},
		{"one is refused, then the rest dropped", []script{{refuse: "b"}, {answer: discard}}, mail.Accept, "", []string{"b(550) 0:abc 1:ac"}},
		{"one is refused, and the rest held: the sender hears at once", []script{{refuse: "b"}, {answer: hold}}, mail.Quarantine, "",
			[]string{"ac held 0:abc 1:ac", "b(550) 0:abc 1:ac"}},
		{"one is removed", []script{{remove: "b"}, {}}, mail.Accept, "", []string{"ac 0:abc 1:ac"}},
		{"a variant", []script{{variant: "b"}, {}}, mail.Accept, "", []string{"ac 0:abc 1:ac", "b for-b 1:b"}},
		{"two variants, one divided again", []script{{variant: "ab c"}, {variant: "b"}, {}}, mail.Accept, "",
			[]string{"a for-ab 1:ab 2:a", "c for-c 1:c 2:c", "b for-ab for-b 2:b"}},
		{"a variant that is held", []script{{variant: "b"}, {only: "b", answer: hold}}, mail.Accept, "", []string{"ac 0:abc 1:ac", "b held for-b 1:b"}},
		{"a variant that is rejected", []script{{variant: "b"}, {only: "b", answer: reject}}, mail.Accept, "", []string{"ac 0:abc 1:ac", "b(550) for-b 1:b"}},
		{"a variant that is deferred", []script{{variant: "b"}, {only: "b", answer: deferred}}, mail.Accept, "", []string{"ac 0:abc 1:ac", "b(451) for-b 1:b"}},
		{"a variant that is dropped", []script{{variant: "b"}, {only: "b", answer: discard}}, mail.Accept, "", []string{"ac 0:abc 1:ac"}},
		{"a variant that ends the session", []script{{variant: "b"}, {only: "b", answer: mail.Answer{Verdict: mail.Disconnect}}}, mail.Disconnect, "421 4.7.0 Closing connection", nil},
		{"all but a variant are rejected", []script{{variant: "b"}, {only: "a", answer: reject}}, mail.Accept, "", []string{"a(550)c(550) 0:abc 1:ac", "b for-b 1:b"}},
		{"all but a variant are dropped: it takes the ID", []script{{variant: "b"}, {only: "a", answer: discard}}, mail.Accept, "", []string{"b for-b 1:b"}},
		{"both are rejected", []script{{variant: "b"}, {answer: reject}}, mail.Reject, "550 5.7.1 Message refused by local policy", nil},
		{"both are dropped", []script{{variant: "b"}, {answer: discard}}, mail.Discard, "", nil},
		{"one is rejected, the other deferred", []script{{variant: "b"}, {only: "b", answer: deferred}, {answer: reject}}, mail.Defer,
			"451 4.7.1 Message deferred by local policy, try again later", nil},
		{"a stage divides and rejects", []script{{variant: "b", answer: reject}, {}}, mail.Reject, "550 5.7.1 Message refused by local policy", nil},
		{"a stage divides and holds", []script{{variant: "b", answer: hold}, {}}, mail.Quarantine, "", []string{"ac held 0:abc 1:ac", "b held for-b 1:b"}},
		{"a stage divides and accepts", []script{{variant: "b", answer: mail.Answer{Verdict: mail.Accept}}, {}}, mail.Accept, "", []string{"ac 0:abc", "b for-b"}},
		{"refused in a variant", []script{{variant: "bc", refuse: "b"}, {}}, mail.Accept, "", []string{"a 0:abc 1:a", "cb(550) for-bc 1:c"}},
		{"sent", []script{{send: true}}, mail.Accept, "", []string{"abc 0:abc", "sent by 0 to a"}},
		{"sent, then held", []script{{send: true}, {answer: hold}}, mail.Quarantine, "", []string{"abc held 0:abc 1:abc", "sent by 0 to a"}},
		{"sent, then dropped", []script{{send: true}, {answer: discard}}, mail.Accept, "", []string{"sent by 0 to a"}},
		{"sent, then rejected", []script{{send: true}, {answer: reject}}, mail.Reject, "550 5.7.1 Message refused by local policy", nil},
		{"sent, and nobody is left, then rejected", []script{{send: true, remove: "abc"}, {answer: reject}}, mail.Reject, "550 5.7.1 Message refused by local policy", nil},
		{"sent, then deferred", []script{{send: true}, {answer: deferred}}, mail.Defer, "451 4.7.1 Message deferred by local policy, try again later", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Pipeline{Hostname: "hamburger.edu"}
			for i, s := range tt.stages {
				p.Stages = append(p.Stages, Stage{Name: fmt.Sprint(i), Guest: s.guest(fmt.Sprint(i))})
			}
			tx := to("a", "b", "c")
			id := tx.ID
			verdict, err := p.Check(t.Context(), tx)
			reply := ""
			if err != nil {
				reply = err.Error()
			}
			if verdict != tt.want || reply != tt.reply {
				t.Fatalf("got %s, %q; want %s, %q", verdict, reply, tt.want, tt.reply)
			}
			if err != nil || verdict == mail.Discard {
				return
			}
			if diff := cmp.Diff(tt.outcome, outcomes(tx)); diff != "" {
				t.Errorf("queued (-want +got):\n%s", diff)
			}
			ids := map[mail.QueueID]bool{}
			for _, part := range append([]*mail.Transaction{tx}, tx.More...) {
				ids[part.ID] = true
			}
			if tx.ID != id || len(ids) != 1+len(tx.More) || ids[""] {
				t.Errorf("IDs are %v, and the client is told %s", ids, id)
			}
		})
	}
}

// TestRefusedAlone holds that a refused recipient keeps its own words when the
// rest is refused too: LMTP can tell each.
func TestRefusedAlone(t *testing.T) {
	p := &Pipeline{Stages: []Stage{{Name: "0", Guest: script{refuse: "b"}.guest("0")}, {Name: "1", Guest: says(mail.Answer{Verdict: mail.Defer})}}}
	tx := to("a", "b")
	if verdict, _ := p.Check(t.Context(), tx); verdict != mail.Defer {
		t.Fatalf("got %s", verdict)
	}
	if diff := cmp.Diff([]string{"a(451)b(550) 0:ab"}, outcomes(tx)); diff != "" {
		t.Error(diff)
	}
}

// TestRefusedBeforeTheContent holds that no stage sees a recipient that a hook
// before the content refused after RCPT was answered.
func TestRefusedBeforeTheContent(t *testing.T) {
	p := &Pipeline{Stages: []Stage{{Name: "0", Guest: script{}.guest("0")}}}
	tx := to("a", "b")
	tx.Envelope.Recipients[0].Refused = &mail.Refusal{Code: 550, Enh: "5.7.1", Text: "no"}
	if verdict, err := p.Check(t.Context(), tx); verdict != mail.Accept || err != nil {
		t.Fatalf("got %s, %v", verdict, err)
	}
	if diff := cmp.Diff([]string{"ba(550) 0:b"}, outcomes(tx)); diff != "" {
		t.Error(diff)
	}
	tx = to("a")
	tx.Envelope.Recipients[0].Refused = &mail.Refusal{Code: 550, Enh: "5.7.1", Text: "no"}
	if verdict, err := p.Check(t.Context(), tx); verdict != mail.Reject || err == nil || err.Error() != "550 5.7.1 no" {
		t.Errorf("got %s, %v", verdict, err)
	}
}

func TestBadRefusalFailsTheStage(t *testing.T) {
	for _, code := range []int{250, 421, 521, 600} {
		p := &Pipeline{Stages: []Stage{{Name: "a", Guest: guest(func(_ context.Context, tx *mail.Transaction) (mail.Answer, error) {
			tx.Envelope.Recipients[0].Refused = &mail.Refusal{Code: code, Text: "no"}
			return mail.Answer{}, nil
		}), OnError: Skip}}}
		tx := to("a")
		if verdict, err := p.Check(t.Context(), tx); verdict != mail.Accept || err != nil || tx.Envelope.Recipients[0].Refused != nil {
			t.Errorf("%d: got %s, %v, and %v", code, verdict, err, tx.Envelope.Recipients[0].Refused)
		}
	}
}

// BenchmarkCheck is what the pipeline costs beside its guests.
func BenchmarkCheck(b *testing.B) {
	nothing := guest(func(context.Context, *mail.Transaction) (mail.Answer, error) { return mail.Answer{}, nil })
	p := &Pipeline{Stages: []Stage{{Name: "a", Guest: nothing}, {Name: "b", Guest: nothing}, {Name: "c", Guest: nothing}}}
	tx := to("a", "b")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Check(b.Context(), tx); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTogether holds that each stage is told what those before it made of the
// message, whichever of its parts they were asked about.
func TestTogether(t *testing.T) {
	var seen []int
	watch := func(s script) Guest {
		do := s.guest("")
		return guest(func(ctx context.Context, tx *mail.Transaction) (mail.Answer, error) {
			seen = append(seen, tx.Together)
			return do(ctx, tx)
		})
	}
	p := &Pipeline{Hostname: "hamburger.edu", Stages: []Stage{
		{Name: "0", Guest: watch(script{variant: "a b"})}, {Name: "1", Guest: watch(script{send: true})},
	}}
	tx := to("a", "b", "c")
	if verdict, err := p.Check(t.Context(), tx); verdict != mail.Accept || err != nil {
		t.Fatal(verdict, err)
	}
	if want := []int{0, 2, 3, 4}; !slices.Equal(seen, want) {
		t.Errorf("got %v, want %v", seen, want)
	}
}
