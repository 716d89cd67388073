package imapd

import (
	"bytes"
	"errors"
	"io"
	netmail "net/mail"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// maxSearched is how many octets of one part a search looks at.
const maxSearched = 4 << 20

// fields implements texts.
func (c *content) fields(name string) []string {
	var values []string
	for i, err := c.tree.FindField(mimetree.Root, name, 0); err == nil; i, err = c.tree.FindField(mimetree.Root, name, i+1) {
		if v, err := c.tree.FieldValue(mimetree.Root, i, mimetree.Decoded); err == nil {
			values = append(values, string(v))
		}
	}
	return values
}

// sent implements texts.
func (c *content) sent() time.Time {
	for _, v := range c.fields("Date") {
		if t, err := netmail.ParseDate(strings.TrimSpace(v)); err == nil {
			return t
		}
	}
	return time.Time{}
}

// contains implements texts.
func (c *content) contains(text string, header bool) bool {
	for id, err := mimetree.Root, error(nil); err == nil; id, err = c.tree.After(id) {
		if header && c.headerContains(id, text) || c.textContains(id, text) {
			return true
		}
	}
	return false
}

func (c *content) headerContains(id mimetree.ID, text string) bool {
	n, err := c.tree.FieldCount(id)
	if err != nil {
		return false
	}
	for i := range n {
		v, err := c.tree.FieldValue(id, i, mimetree.Decoded)
		if err != nil {
			continue
		}
		name, _ := c.tree.FieldName(id, i)
		if strings.Contains(strings.ToLower(name+": "+string(v)), text) {
			return true
		}
	}
	return false
}

func (c *content) textContains(id mimetree.ID, text string) bool {
	info, err := c.tree.Info(id)
	if err != nil || !strings.HasPrefix(info.Type, "text/") {
		return false
	}
	r, err := c.tree.OpenPart(id, mimetree.Text)
	if errors.Is(err, mimetree.ErrCharset) {
		r, err = c.tree.OpenPart(id, mimetree.Content)
	}
	if err != nil {
		return false
	}
	buf := searched.Get().(*bytes.Buffer)
	defer searched.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(io.LimitReader(r, maxSearched)); err != nil {
		return false
	}
	return bytes.Contains(lower(buf.Bytes()), []byte(text))
}

// searched has buffers for the text of one part.
var searched = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// lower is [bytes.ToLower], which may change b.
func lower(b []byte) []byte {
	for i, c := range b {
		switch {
		case c >= utf8.RuneSelf:
			return bytes.ToLower(b)
		case 'A' <= c && c <= 'Z':
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// candidates calls f for each message of the view that still is. What f gets
// is the next message's after it.
func (s *session) candidates(f func(*candidate)) error {
	now, err := s.box.View()
	if err != nil {
		return s.lost(err)
	}
	lazy := &lazyContent{session: s}
	one := &candidate{text: lazy}
	place := 0 // both are in the order of UIDs
	for n := range s.view.entries {
		e := &s.view.entries[n]
		for place < len(now.Messages) && imap.UID(now.Messages[place].UID) < e.uid {
			place++
		}
		if e.gone || place == len(now.Messages) || imap.UID(now.Messages[place].UID) != e.uid {
			continue
		}
		m := &now.Messages[place]
		lazy.begin(m.UID)
		one.seq, one.uid, one.flags, one.date, one.size = uint32(n+1), e.uid, m.Flags, m.Date, m.Size
		f(one)
		lazy.close()
	}
	return nil
}

// A lazyContent opens a message when a search first needs it. One that cannot
// be read contains nothing.
type lazyContent struct {
	session *session
	uid     mailbox.UID
	content *content
	failed  bool
}

func (l *lazyContent) begin(uid mailbox.UID) { *l = lazyContent{session: l.session, uid: uid} }

func (l *lazyContent) get() *content {
	if l.content == nil && !l.failed {
		c, err := l.session.open(l.uid)
		l.content, l.failed = c, err != nil
	}
	return l.content
}

func (l *lazyContent) close() {
	if l.content != nil {
		l.content.close()
	}
}

func (l *lazyContent) fields(name string) []string {
	s := l.session
	if v, ok := s.kept.get(&s.server.kept, l.uid, name, l.get); ok {
		return v
	}
	if c := l.get(); c != nil {
		return c.fields(name)
	}
	return nil
}

func (l *lazyContent) sent() time.Time {
	if c := l.get(); c != nil {
		return c.sent()
	}
	return time.Time{}
}

func (l *lazyContent) contains(text string, header bool) bool {
	c := l.get()
	return c != nil && c.contains(text, header)
}
