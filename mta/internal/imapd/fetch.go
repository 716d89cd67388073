package imapd

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// Fetch implements [imapserver.Session]. Messages that are no more, but that
// the client could not be told about yet, are left out of the answer; that is
// said at the end (RFC 2180 §4.1.2).
func (s *session) Fetch(w *imapserver.FetchWriter, set imap.NumSet, options *imap.FetchOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.named(set)
	if err != nil {
		return err
	}
	now, err := s.box.View()
	if err != nil {
		return s.lost(err)
	}
	seen, err := s.markSeen(all, options)
	if err != nil {
		return err
	}
	missing := false
	for _, p := range all {
		place, ok := now.Find(mailbox.UID(p.uid))
		if !ok {
			missing = true
			continue
		}
		err := s.fetch(w, p, &now.Messages[place], options, seen[p.uid])
		if errors.Is(err, mailbox.ErrNoMessage) {
			missing = true
			continue
		}
		if err != nil {
			return err
		}
	}
	if missing {
		return s.refusal(mailbox.ErrNoMessage)
	}
	return nil
}

// markSeen sets \Seen on the messages whose text is asked for, unless the
// client only peeks or the mailbox is not to be changed. It returns those that
// got it, whose flags the client has to hear (RFC 3501 §6.4.5).
func (s *session) markSeen(all []picked, options *imap.FetchOptions) (map[imap.UID]bool, error) {
	if s.readOnly || !reads(options) {
		return nil, nil
	}
	var unseen []picked
	got := map[imap.UID]bool{}
	for _, p := range all {
		if e, _ := s.view.find(p.uid); e != nil && e.flags.System&mailbox.Seen == 0 {
			unseen = append(unseen, p)
			got[p.uid] = true
		}
	}
	_, err := s.setFlags(unseen, imap.StoreFlagsAdd, mailbox.Flags{System: mailbox.Seen})
	return got, err
}

// reads tells whether something is asked for that marks a message as seen.
func reads(options *imap.FetchOptions) bool {
	for _, b := range options.BodySection {
		if !b.Peek {
			return true
		}
	}
	for _, b := range options.BinarySection {
		if !b.Peek {
			return true
		}
	}
	return false
}

// fetch writes the answer for one message. What can fail is looked up before
// the first octet of it is written.
func (s *session) fetch(w *imapserver.FetchWriter, p picked, m *mailbox.Message, options *imap.FetchOptions, seen bool) (err error) {
	var c *content
	if needsContent(options) {
		if c, err = s.open(m.UID); err != nil {
			return err
		}
		defer c.close()
	}
	a, err := c.answer(options)
	if err != nil {
		return s.refusal(fmt.Errorf("read message %d: %w", m.UID, err))
	}
	r := w.CreateMessage(p.seq)
	if options.UID {
		r.WriteUID(p.uid)
	}
	if options.Flags || seen {
		e, _ := s.view.find(p.uid)
		r.WriteFlags(flagNames(e.flags))
	}
	if options.InternalDate {
		r.WriteInternalDate(m.Date)
	}
	if options.RFC822Size {
		r.WriteRFC822Size(m.Size)
	}
	if err = a.write(r); err != nil {
		s.gate.abort() // in the middle of a literal there is nothing else to say
	}
	return errors.Join(err, r.Close())
}

func needsContent(o *imap.FetchOptions) bool {
	return o.Envelope || o.BodyStructure != nil || len(o.BodySection)+len(o.BinarySection)+len(o.BinarySectionSize) > 0
}

// An answer is what FETCH says of a message's content.
type answer struct {
	options   *imap.FetchOptions
	envelope  *imap.Envelope
	structure imap.BodyStructure
	sections  []section
	binary    []section
	sizes     []uint32
}

// A section is a piece of a message. The zero section is empty.
type section struct {
	r    io.ReaderAt
	size int64
}

// partial is the piece of s that a client asks for (RFC 3501 §6.4.5).
func (s section) partial(p *imap.SectionPartial) section {
	if p == nil {
		return s
	}
	from := min(max(p.Offset, 0), s.size)
	n := min(max(p.Size, 0), s.size-from)
	if n == 0 {
		return section{}
	}
	return section{io.NewSectionReader(s.r, from, n), n}
}

func (s section) copyTo(w io.WriteCloser) error {
	return errors.Join(s.writeTo(w), w.Close())
}

// buffers are for copying: a new one for each small part would cost more than
// the part.
var buffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

func (s section) writeTo(w io.Writer) error {
	if s.size == 0 {
		return nil
	}
	buf := buffers.Get().(*[32 << 10]byte)
	defer buffers.Put(buf)
	// Only Write: a Writer's own way of copying would make a buffer again.
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, io.NewSectionReader(s.r, 0, s.size), buf[:])
	return err
}

func (a *answer) write(r *imapserver.FetchResponseWriter) error {
	if a.options.Envelope {
		r.WriteEnvelope(a.envelope)
	}
	if a.options.BodyStructure != nil {
		r.WriteBodyStructure(a.structure)
	}
	for i, item := range a.options.BodySection {
		if err := a.sections[i].copyTo(r.WriteBodySection(item, a.sections[i].size)); err != nil {
			return err
		}
	}
	for i, item := range a.options.BinarySection {
		if err := a.binary[i].copyTo(r.WriteBinarySection(item, a.binary[i].size)); err != nil {
			return err
		}
	}
	for i, item := range a.options.BinarySectionSize {
		r.WriteBinarySectionSize(item, a.sizes[i])
	}
	return nil
}
