// Package origin completes messages that begin at a stage, and not at a client:
// it adds what a message must have before it enters the queue. Whether one may
// be sent, to whom, and what it says is not its matter.
package origin

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// A Source is where a message comes from.
type Source struct {
	Hostname string
	Stage    string
	Beside   mail.QueueID // what it is queued together with; empty: nothing
}

var errNobody = errors.New("it has no recipients")

// Complete makes a whole transaction of tx, which has an envelope and a content
// with lines that end in CRLF. It gets an ID, a Received: field, and of From,
// Date, Message-ID and Auto-Submitted those that it lacks.
func Complete(tx *mail.Transaction, s Source) error {
	if len(tx.Envelope.Recipients) == 0 {
		return errNobody
	}
	octets, err := mail.ReadAll(tx.Content)
	if err != nil {
		return fmt.Errorf("read what is sent: %w", err)
	}
	now := time.Now()
	tx.ID, tx.Received, tx.SentBy = mail.NewQueueIDBeside(now, s.Beside), now, s.Stage
	tree := mimetree.Parse(mail.Bytes(octets), mimetree.Limits{})
	if err := s.addFields(tx, tree); err != nil {
		return fmt.Errorf("add fields to what is sent: %w", err)
	}
	if octets, err = mail.ReadAll(tree); err != nil {
		return fmt.Errorf("read what is sent: %w", err)
	}
	tx.Content = mail.Bytes(octets)
	tx.Envelope.Body, tx.Envelope.UTF8 = needs(tx, octets)
	return nil
}

// addFields puts above what the plugin wrote what a message must have: those
// of RFC 5322 §3.6, and Auto-Submitted (RFC 3834 §5).
func (s Source) addFields(tx *mail.Transaction, tree *mimetree.Tree) error {
	date := tx.Received.Format("Mon, 2 Jan 2006 15:04:05 -0700")
	from := tx.Envelope.ReversePath.String()
	if from == "" {
		from = "MAILER-DAEMON@" + s.Hostname
	}
	for _, f := range [...]struct{ name, value string }{
		{"Auto-Submitted", "auto-replied"},
		{"Message-ID", "<" + string(tx.ID) + "@" + s.Hostname + ">"},
		{"Date", date},
		{"From", from},
	} {
		switch _, err := tree.FindField(mimetree.Root, f.name, 0); {
		case errors.Is(err, mimetree.ErrNotFound):
			if err := tree.InsertField(mimetree.Root, 0, f.name, f.value); err != nil {
				return err
			}
		case err != nil:
			return err
		}
	}
	received := fmt.Sprintf("Received: by %s (stage %s)\r\n\tid %s;\r\n\t%s\r\n", s.Hostname, word(s.Stage), tx.ID, date)
	return tree.InsertRawField(mimetree.Root, 0, received)
}

// word is s as it can stand in a comment (RFC 5322 §3.2.2).
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune(`()\`, r) {
			return '_'
		}
		return r
	}, s)
}

// needs are the extensions that a next hop must have for these octets.
func needs(tx *mail.Transaction, octets []byte) (body mail.Body, utf8 bool) {
	head, _, _ := bytes.Cut(octets, []byte("\r\n\r\n"))
	utf8 = mail.HasUTF8(string(head)) || tx.Envelope.ReversePath.NeedsUTF8()
	for _, r := range tx.Envelope.Recipients {
		utf8 = utf8 || r.Path.NeedsUTF8()
	}
	if mail.HasUTF8(string(octets)) {
		body = mail.Body8Bit
	}
	return body, utf8
}
