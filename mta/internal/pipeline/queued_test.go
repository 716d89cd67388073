package pipeline

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// queuedGuest answers any hook.
type queuedGuest func(tx *mail.Transaction) (mail.Answer, error)

func (g queuedGuest) Handle(_ context.Context, _ string, tx *mail.Transaction) (mail.Answer, error) {
	return g(tx)
}

func TestAskQueued(t *testing.T) {
	hooks := []string{mail.HookDelivery}
	sends := queuedGuest(func(tx *mail.Transaction) (mail.Answer, error) {
		tx.QueuedNotes = map[string]string{"by": "first"}
		return mail.Answer{Sends: []*mail.Transaction{{
			Envelope: mail.Envelope{Recipients: []mail.Recipient{{Path: mail.Path{Local: "alice", Domain: "crepes.fr"}}}},
			Content:  mail.Bytes("Subject: hello\r\n\r\n"),
		}}}, nil
	})
	answers := func(a mail.Answer, err error) queuedGuest {
		return func(*mail.Transaction) (mail.Answer, error) { return a, err }
	}
	never := queuedGuest(func(*mail.Transaction) (mail.Answer, error) {
		t.Error("the last stage was asked")
		return mail.Answer{}, nil
	})
	for _, tt := range []struct {
		name   string
		second queuedGuest
		on     OnError
		last   queuedGuest
		want   mail.Verdict
		reply  string
		hold   string
	}{
		{"continue", answers(mail.Answer{}, nil), "", answers(mail.Answer{}, nil), mail.Continue, "<nil>", ""},
		{"accept", answers(mail.Answer{Verdict: mail.Accept}, nil), "", never, mail.Continue, "<nil>", ""},
		{"discard", answers(mail.Answer{Verdict: mail.Discard}, nil), "", never, mail.Discard, "<nil>", ""},
		{"reject", answers(mail.Answer{Verdict: mail.Reject, Code: 554, Text: "No"}, nil), "", never, mail.Reject, "554 5.7.1 No", ""},
		{"quarantine", answers(mail.Answer{Verdict: mail.Quarantine, Reason: "odd"}, nil), "", answers(mail.Answer{}, nil), mail.Continue, "<nil>", "odd"},
		{"failure", answers(mail.Answer{}, errors.New("it broke")), "", never, mail.Defer, "451 4.3.0 Local error in processing, try again later", ""},
		{"failure that is skipped", answers(mail.Answer{}, errors.New("it broke")), Skip, answers(mail.Answer{}, nil), mail.Continue, "<nil>", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &Pipeline{Hostname: "hamburger.edu", Stages: []Stage{
				{Name: "first", Guest: sends, Hooks: hooks},
				{Name: "second", Guest: tt.second, Hooks: hooks, OnError: tt.on},
				{Name: "last", Guest: tt.last, Hooks: hooks},
			}}
			tx := transaction()
			verdict, sent, err := p.AskQueued(t.Context(), mail.HookDelivery, tx)
			if verdict != tt.want || fmt.Sprint(err) != tt.reply || tx.Hold != tt.hold {
				t.Errorf("got %s, %v, held for %q", verdict, err, tx.Hold)
			}
			if len(sent) != 1 || sent[0].SentBy != "first" || sent[0].ID == "" || tx.QueuedNotes["by"] != "first" {
				t.Errorf("sent %+v, notes %v", sent, tx.QueuedNotes)
			}
		})
	}
	if v, sent, err := (&Pipeline{}).AskQueued(t.Context(), mail.HookDSN, transaction()); v != mail.Continue || sent != nil || err != nil {
		t.Errorf("without stages: %s, %v, %v", v, sent, err)
	}
}
