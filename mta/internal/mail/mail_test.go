package mail

import (
	"testing"
	"time"
)

func TestForkSharesNothingThatChanges(t *testing.T) {
	tx := &Transaction{
		ID: NewQueueID(time.Now()), Received: time.Now(), Client: Client{Helo: "crepes.fr"}, Content: Bytes("hi\r\n"), Hold: "odd",
		Envelope: Envelope{ReversePath: Path{"alice", "crepes.fr"}, Recipients: []Recipient{{Path: Path{"bob", "hamburger.edu"}}}},
		Notes:    map[string]string{"a": "1"}, SessionNotes: map[string]string{"b": "2"}, QueuedNotes: map[string]string{"c": "3"},
		Spared: make([]string, 1, 4), More: []*Transaction{{}},
	}
	f := tx.Fork()
	if f.ID != "" || f.More != nil || f.Envelope.Recipients != nil {
		t.Errorf("the fork has the ID %q, %d more and the recipients %v", f.ID, len(f.More), f.Envelope.Recipients)
	}
	if f.Client != tx.Client || f.Hold != tx.Hold || f.Envelope.ReversePath != tx.Envelope.ReversePath || f.Content == nil {
		t.Errorf("the fork is %+v", f)
	}
	f.Notes["a"], f.SessionNotes["b"], f.QueuedNotes["c"] = "x", "x", "x"
	f.Spared = append(f.Spared, "x")
	if tx.Notes["a"] != "1" || tx.SessionNotes["b"] != "2" || tx.QueuedNotes["c"] != "3" || tx.Spared[:2][1] != "" {
		t.Errorf("a change of the fork changed %+v", tx)
	}
}
