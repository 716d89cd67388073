// Package origin is about messages that begin at a stage, and not at a client:
// whether one may be sent because of another, and what it must have before it
// enters the queue. Who sends it, to whom and what, is the plugin's matter.
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

// What a message is not answered for (RFC 3834 §2, RFC 5321 §6.1).
var (
	errNull      = errors.New("the message has the null reverse-path: nothing is sent because of a bounce")
	errAutomatic = errors.New("the message was sent automatically (Auto-Submitted)")
	errBulk      = errors.New("the message is from a list or in bulk (Precedence, List-Id)")
	errNoContent = errors.New("the message is not there yet")
	errNobody    = errors.New("it has no recipients")
)

// Loops tells why nothing may be sent because of tx: whoever answers might be
// answered by a machine, and so on for ever. It is nil if something may.
func Loops(tx *mail.Transaction) error {
	if tx.Envelope.ReversePath.IsNull() {
		return errNull
	}
	if tx.Content == nil {
		return errNoContent
	}
	tree, err := parse(tx.Content)
	if err != nil {
		return err
	}
	automatic, err := field(tree, "Auto-Submitted")
	if err != nil {
		return err
	}
	if word, _, _ := strings.Cut(automatic, ";"); word != "" && !strings.EqualFold(strings.TrimSpace(word), "no") {
		return errAutomatic
	}
	precedence, err := field(tree, "Precedence")
	if err != nil {
		return err
	}
	list, err := field(tree, "List-Id")
	if err != nil {
		return err
	}
	if bulk[strings.ToLower(precedence)] || list != "" {
		return errBulk
	}
	return nil
}

var bulk = map[string]bool{"bulk": true, "list": true, "junk": true}

// A Source is where a message comes from.
type Source struct {
	Hostname string
	Stage    string
}

// Complete makes a transaction of what a plugin sends: tx has an envelope and a
// content, which may be any octets. It gets an ID, line ends of CRLF, a
// Received: field, and of From, Date, Message-ID and Auto-Submitted those that
// it lacks.
func Complete(tx *mail.Transaction, s Source) error {
	if len(tx.Envelope.Recipients) == 0 {
		return errNobody
	}
	octets, err := mail.ReadAll(tx.Content)
	if err != nil {
		return fmt.Errorf("read what is sent: %w", err)
	}
	octets = canonical(octets)
	tree, err := parse(mail.Bytes(octets))
	if err != nil {
		return err
	}
	now := time.Now()
	tx.ID, tx.Received, tx.SentBy = mail.NewQueueID(now), now, s.Stage
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

// canonical ends each line in CRLF, the last one too, whatever it ended in.
func canonical(b []byte) []byte {
	out := make([]byte, 0, len(b)+len(b)/32+2)
	for i, c := range b {
		switch {
		case c == '\n' && (i == 0 || b[i-1] != '\r'):
			out = append(out, '\r', '\n')
		case c == '\r' && (i+1 == len(b) || b[i+1] != '\n'):
			out = append(out, '\r', '\n')
		default:
			out = append(out, c)
		}
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\r', '\n')
	}
	return out
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

// field is the first field of that name, unfolded; empty if there is none.
func field(tree *mimetree.Tree, name string) (string, error) {
	i, err := tree.FindField(mimetree.Root, name, 0)
	if errors.Is(err, mimetree.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	value, err := tree.FieldValue(mimetree.Root, i, mimetree.Unfolded)
	return strings.TrimSpace(string(value)), err
}

// parse is content as a tree. A message that a stage looked at is one already.
func parse(content mail.Content) (*mimetree.Tree, error) {
	switch c := content.(type) {
	case *mimetree.Tree:
		return c, nil
	case mail.Octets:
		return mimetree.Parse(c, mimetree.Limits{}), nil
	default:
		b, err := mail.ReadAll(c)
		if err != nil {
			return nil, err
		}
		return mimetree.Parse(mail.Bytes(b), mimetree.Limits{}), nil
	}
}
