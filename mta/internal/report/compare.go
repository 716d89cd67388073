package report

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// A State is what of a transaction stages change. Its content must not change
// any more.
type State struct {
	Envelope     mail.Envelope
	Content      mail.Content // nil: not there yet
	Notes        map[string]string
	SessionNotes map[string]string
	QueuedNotes  map[string]string
	Hold         string // why the message is held; empty: it is not
}

// Changes are what is different in a second state. Lines that are the same in
// both are there to show the place.
type Changes struct {
	Envelope []Line `json:"envelope,omitempty"`
	Header   []Line `json:"header,omitempty"`    // of the message
	Tree     []Line `json:"structure,omitempty"` // a line for each MIME part, two blanks for each level
	Parts    []Part `json:"parts,omitempty"`     // those whose content or header section changed
	Octets   []Line `json:"octets,omitempty"`    // lines of the message, where nothing of the above tells what changed
	Notes    []Line `json:"notes,omitempty"`
}

// A Part is what changed in one MIME part.
type Part struct {
	Path   string `json:"part"` // "1.2", in the second state if it is there; empty: the message itself
	Type   string `json:"type"`
	Header []Line `json:"header,omitempty"`
	Text   []Line `json:"text,omitempty"` // decoded
	Note   string `json:"note,omitempty"` // what lines cannot say
}

// A Line is one line of a difference.
type Line struct {
	Op   Op     `json:"op"`
	Text string `json:"text"`
}

// Empty tells whether nothing changed.
func (c *Changes) Empty() bool {
	return len(c.Envelope)+len(c.Header)+len(c.Tree)+len(c.Parts)+len(c.Octets)+len(c.Notes) == 0
}

const (
	maxLines   = 200       // of one difference: a person reads no more
	maxCompare = 512 << 10 // octets of a text whose lines are compared
	maxAlone   = 20        // lines of a text that is in one state only
)

// Compare tells how two states differ. Whatever the size of their contents, it
// keeps little of them in memory, and of what it finds no more than a person
// reads. The error is that of a content that cannot be read.
func Compare(before, after *State) (*Changes, error) {
	c := &Changes{Envelope: compareEnvelopes(before, after)}
	for _, scope := range [...]struct {
		name          string
		before, after map[string]string
	}{
		{"", before.Notes, after.Notes},
		{"session ", before.SessionNotes, after.SessionNotes},
		{"queued ", before.QueuedNotes, after.QueuedNotes},
	} {
		c.Notes = append(c.Notes, changedLines(noteLines(scope.name, scope.before), noteLines(scope.name, scope.after), 0)...)
	}
	same, err := sameContent(before.Content, after.Content)
	if same || err != nil || before.Content == nil || after.Content == nil {
		return c, err
	}
	return c, c.compareContents(before.Content, after.Content)
}

func (c *Changes) compareContents(before, after mail.Content) error {
	a, err := open(before)
	if err != nil {
		return err
	}
	b, err := open(after)
	if err != nil {
		return err
	}
	if c.Header, err = compareHeaders(a, b, mimetree.Root, mimetree.Root); err != nil {
		return err
	}
	if err := c.compareTrees(a, b); err != nil {
		return err
	}
	if len(c.Header)+len(c.Tree)+len(c.Parts) == 0 {
		c.Octets, err = compareOctets(a, b)
	}
	return err
}

// open is a content as a tree of its own: the one it may be already remembers
// edits that this package does not look at.
func open(content mail.Content) (*mimetree.Tree, error) {
	if at, ok := content.(mail.Octets); ok {
		return mimetree.Parse(at, mimetree.Limits{}), nil
	}
	octets, err := mail.ReadAll(content)
	return mimetree.Parse(bytes.NewReader(octets), mimetree.Limits{}), err
}

// sameContent tells whether two contents have the same octets.
func sameContent(a, b mail.Content) (bool, error) {
	if a == nil || b == nil {
		return a == nil && b == nil, nil
	}
	if a.Size() != b.Size() {
		return false, nil
	}
	ra, err := a.Open()
	if err != nil {
		return false, err
	}
	defer ra.Close()
	rb, err := b.Open()
	if err != nil {
		return false, err
	}
	defer rb.Close()
	return sameOctets(ra, rb)
}

func sameOctets(a, b io.Reader) (bool, error) {
	bufA, bufB := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, errA := io.ReadFull(a, bufA)
		m, errB := io.ReadFull(b, bufB)
		if !bytes.Equal(bufA[:n], bufB[:m]) {
			return false, nil
		}
		if errA != nil || errB != nil {
			return ended(errA) && ended(errB), firstOf(errA, errB)
		}
	}
}

func ended(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// firstOf is the first error that is not the end.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil && !ended(err) {
			return err
		}
	}
	return nil
}

func compareEnvelopes(before, after *State) []Line {
	return changedLines(envelopeLines(before), envelopeLines(after), 0)
}

// envelopeLines are the envelope as the cases of plugins write it.
func envelopeLines(s *State) []string {
	lines := []string{"from: " + pathText(s.Envelope.ReversePath)}
	for i := range s.Envelope.Recipients {
		lines = append(lines, "to: "+Recipient(&s.Envelope.Recipients[i]))
	}
	if s.Hold != "" {
		lines = append(lines, "held: "+s.Hold)
	}
	return lines
}

func pathText(p mail.Path) string {
	if p.IsNull() {
		return "<>"
	}
	return p.String()
}

// Recipient is one recipient with all that stages said of it, as the cases of
// plugins write it:
//
//	bob@hamburger.edu deliver folder=Lists/go
func Recipient(r *mail.Recipient) string {
	words := []string{pathText(r.Path)}
	if r.Original != r.Path && !r.Original.IsNull() {
		words = append(words, "was="+r.Original.String())
	}
	if d := r.Deliver; d != nil {
		words = append(words, "deliver")
		for _, set := range [][2]string{{"account", d.Account}, {"folder", d.Folder}, {"flags", strings.ReplaceAll(d.Flags, " ", ",")}} {
			if set[1] != "" {
				words = append(words, set[0]+"="+set[1])
			}
		}
	}
	if h := r.Route; h != nil {
		words = append(words, "relay", "host="+hostPort(h))
		for _, flag := range []struct {
			set  bool
			word string
		}{{h.RequireTLS, "tls"}, {h.NoMX, "no-mx"}, {h.LMTP, "lmtp"}} {
			if flag.set {
				words = append(words, flag.word)
			}
		}
	}
	if no := r.Refused; no != nil {
		words = append(words, strings.Join(strings.Fields(fmt.Sprintf("reply %d %s %s", no.Code, no.Enh, no.Text)), " "))
	}
	return strings.Join(words, " ")
}

func hostPort(h *mail.NextHop) string {
	if h.Port == 0 {
		return h.Host
	}
	return fmt.Sprintf("%s:%d", h.Host, h.Port)
}

func noteLines(scope string, notes map[string]string) []string {
	var lines []string
	for _, key := range slices.Sorted(maps.Keys(notes)) {
		lines = append(lines, scope+"note: "+key+"="+notes[key])
	}
	return lines
}

// DiffLines are the lines that differ.
func DiffLines(before, after []string) []Line { return changedLines(before, after, 0) }

// changedLines are the lines that differ, with as many of those around them as
// context says.
func changedLines(before, after []string, context int) []Line {
	edits := align(len(before), len(after), func(a, b int) bool { return before[a] == after[b] })
	lines := make([]Line, len(edits))
	for i, e := range edits {
		if e.op == Added {
			lines[i] = Line{Added, after[e.b]}
		} else {
			lines[i] = Line{e.op, before[e.a]}
		}
	}
	return trim(lines, context)
}

// trim leaves of lines the changes and what is around them. It leaves nothing
// if nothing changed.
func trim(lines []Line, context int) []Line {
	near := make([]bool, len(lines))
	changed := false
	for i, l := range lines {
		if l.Op == Kept {
			continue
		}
		changed = true
		for j := max(0, i-context); j <= min(len(lines)-1, i+context); j++ {
			near[j] = true
		}
	}
	if !changed {
		return nil
	}
	var out []Line
	left := 0 // lines left out since the last one
	for i, l := range lines {
		switch {
		case !near[i]:
			left++
		case len(out) >= maxLines:
			return append(out, Line{Gap, "and more"})
		default:
			if left > 0 && len(out) > 0 && context > 0 {
				out = append(out, gap(left))
			}
			left = 0
			out = append(out, l)
		}
	}
	return out
}

func gap(lines int) Line {
	if lines == 1 {
		return Line{Gap, "1 line"}
	}
	return Line{Gap, fmt.Sprintf("%d lines", lines)}
}
