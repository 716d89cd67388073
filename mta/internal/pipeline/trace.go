package pipeline

import (
	"maps"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A Tracer is told what each stage did to each message, in order. It is called
// in the middle of the session, which waits for it.
type Tracer interface {
	Traced(Trace)
}

// A Trace is one stage asked one hook, about one message or one part of it.
// It is the tracer's to keep.
type Trace struct {
	Stage, Hook   string
	ID            mail.QueueID
	Before, After Snapshot

	Asked   bool // false: its condition does not hold, or it is tripped
	Tripped bool
	Answer  mail.Answer  // of a failed stage: what it used, and nothing else
	Verdict mail.Verdict // what the message goes on with, OnError applied
	Reply   *smtp.Reply  // nil: none
	Err     error        // why the stage failed; nil: it did not
	Took    time.Duration
}

// A Snapshot is a transaction at one moment. Content is in memory; nil where
// there is none, or where Err says that it could not be read.
type Snapshot struct {
	Envelope     mail.Envelope
	Content      mail.Content
	Notes        map[string]string
	SessionNotes map[string]string
	QueuedNotes  map[string]string
	Hold         string
	Err          error
}

// look makes a snapshot. The content is copied: stages edit it in place.
func look(tx *mail.Transaction) Snapshot {
	s := Snapshot{
		Envelope: tx.Envelope, Hold: tx.Hold,
		Notes: maps.Clone(tx.Notes), SessionNotes: maps.Clone(tx.SessionNotes), QueuedNotes: maps.Clone(tx.QueuedNotes),
	}
	s.Envelope.Recipients = slices.Clone(tx.Envelope.Recipients)
	if tx.Content == nil {
		return s
	}
	octets, err := mail.ReadAll(tx.Content)
	if err != nil {
		s.Err = err
		return s
	}
	s.Content = mail.Bytes(octets)
	return s
}

// watch is the snapshot before a stage; nil if nobody watches.
func (p *Pipeline) watch(tx *mail.Transaction) *Snapshot {
	if p.Tracer == nil {
		return nil
	}
	s := look(tx)
	return &s
}

// report tells the tracer, if there is one.
func (p *Pipeline) report(before *Snapshot, t Trace, tx *mail.Transaction) {
	if before == nil {
		return
	}
	t.ID, t.Before, t.After = tx.ID, *before, look(tx)
	p.Tracer.Traced(t)
}
