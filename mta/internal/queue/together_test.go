package queue_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// divided is a message with a variant for carol and an answer to alice.
func divided() (root, variant, answer *mail.Transaction) {
	root = transaction("alice@crepes.fr", "bob@hamburger.edu")
	root.QueuedNotes = map[string]string{"score": "7"}
	variant = root.Fork()
	variant = beside(root.ID, variant)
	variant.Envelope.Recipients = []mail.Recipient{{Path: path("carol@hamburger.edu")}}
	variant.Content = mail.Bytes("Subject: for carol\r\n\r\n")
	answer = beside(root.ID, transaction("bob@hamburger.edu", "alice@crepes.fr"))
	answer.SentBy = "vacation"
	root.More = []*mail.Transaction{variant, answer}
	return root, variant, answer
}

func TestPartsAreQueuedTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		root, variant, answer := divided()
		b.enqueue(root) // nothing runs yet: what is stored can be looked at
		for _, tx := range []*mail.Transaction{root, variant, answer} {
			e, err := b.q.Store.Get(ctx, tx.ID)
			if err != nil {
				t.Fatal(err)
			}
			if e.Notes["score"] != tx.QueuedNotes["score"] || e.SentBy != tx.SentBy {
				t.Errorf("%s has the notes %v and is sent by %q", tx.ID, e.Notes, e.SentBy)
			}
		}
		b.run()
		messages, _ := b.taken()
		got := map[string]string{}
		for _, a := range messages {
			got[strings.Join(a.to, " ")] = a.content
		}
		if len(got) != 3 || got["bob@hamburger.edu"] != crepe || got["alice@crepes.fr"] != crepe ||
			got["carol@hamburger.edu"] != "Subject: for carol\r\n\r\n" {
			t.Errorf("attempted %q", got)
		}
		b.wantStats(queue.Stats{})
		for _, line := range []string{
			"msg=queued queue_id=" + string(root.ID) + " ",
			"part_of=" + string(root.ID),
			"sent_by=vacation sent_for=" + string(root.ID),
		} {
			if !strings.Contains(b.log.String(), line) {
				t.Errorf("the log lacks %q:\n%s", line, b.log)
			}
		}
	})
}

func TestPartsOfARunningQueueAreAttemptedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run()
		root, variant, _ := divided()
		variant.Hold = "odd"
		b.enqueue(root)
		messages, _ := b.taken()
		if len(messages) != 2 || slices.Max(times(messages)) != 0 {
			t.Errorf("attempted %+v", messages)
		}
		b.wantStats(queue.Stats{Held: 1})
	})
}

func TestAPartWithoutRecipientsIsNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		root, variant, _ := divided()
		root.Envelope.Recipients = nil
		b.enqueue(root)
		b.wantStats(queue.Stats{Waiting: 2})
		variant.Envelope.Recipients = nil
		nobody := transaction("alice@crepes.fr")
		nobody.More = []*mail.Transaction{variant}
		if err := b.q.Enqueue(ctx, nobody); err == nil {
			t.Error("a message for nobody was queued")
		}
	})
}

// TestOfPartsAllOrNoneAreStored holds also that places among the fresh tasks
// are given back.
func TestOfPartsAllOrNoneAreStored(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		store := b.faulty()
		b.q.Window = 3
		b.run()
		fail(&store.put, syscall.ENOSPC)
		for range 3 {
			root, _, _ := divided()
			err := b.q.Enqueue(ctx, root)
			if r := smtp.ReplyTo(err); r == nil || r.Code != 452 {
				t.Errorf("got %v, want 452", err)
			}
		}
		b.wantStats(queue.Stats{})
		store.put.Store(nil)
		root, _, _ := divided()
		b.enqueue(root)
		if messages, _ := b.taken(); len(messages) != 3 || slices.Max(times(messages)) != 0 {
			t.Errorf("attempted %+v", messages)
		}
	})
}
