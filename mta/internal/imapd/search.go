package imapd

import (
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// maxSearchDepth bounds how deep NOT and OR may be nested: deeper is no person's
// question.
const maxSearchDepth = 50

// A candidate is a message that a search looks at. Its content is read only
// for criteria that need it.
type candidate struct {
	seq   uint32
	uid   imap.UID
	flags mailbox.Flags
	date  time.Time
	size  int64
	text  texts
}

// texts are what a search reads of a message's content.
type texts interface {
	// fields returns the values of all fields with that name, decoded.
	fields(name string) []string
	// sent is the date of the Date field; zero if there is none.
	sent() time.Time
	// contains tells whether text, which is in lower case, occurs in the
	// decoded body, and with header also in the header sections.
	contains(text string, header bool) bool
}

// Search implements [imapserver.Session].
func (s *session) Search(kind imapserver.NumKind, criteria *imap.SearchCriteria, options *imap.SearchOptions) (*imap.SearchData, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if depth(criteria, maxSearchDepth) < 0 {
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeLimit, Text: "SEARCH is nested too deep"}
	}
	s.resolve(criteria)
	if options.ReturnSave {
		s.saved = nil // of a search that fails, too (RFC 5182 §2.1)
	}
	var found []picked
	err := s.candidates(func(c *candidate) {
		if matches(c, criteria) {
			found = append(found, picked{c.seq, c.uid})
		}
	})
	if err != nil {
		return nil, err
	}
	return s.result(kind, found, options), nil
}

func (s *session) result(kind imapserver.NumKind, found []picked, options *imap.SearchOptions) *imap.SearchData {
	var uids imap.UIDSet
	var seqs imap.SeqSet
	data := &imap.SearchData{Count: uint32(len(found))}
	for i, p := range found {
		uids.AddNum(p.uid)
		seqs.AddNum(p.seq)
		number := p.seq
		if kind == imapserver.NumKindUID {
			number = uint32(p.uid)
		}
		if i == 0 {
			data.Min = number
		}
		data.Max = number
	}
	data.All = imap.NumSet(seqs)
	if kind == imapserver.NumKindUID {
		data.All = uids
	}
	if options.ReturnSave {
		s.saved = saved(found, options)
	}
	return data
}

// saved is what SEARCHRES keeps: all, unless only the first or the last is asked
// for (RFC 5182 §2.1).
func saved(found []picked, options *imap.SearchOptions) imap.UIDSet {
	var uids imap.UIDSet
	few := (options.ReturnMin || options.ReturnMax) && !options.ReturnAll && !options.ReturnCount
	for i, p := range found {
		if !few || options.ReturnMin && i == 0 || options.ReturnMax && i == len(found)-1 {
			uids.AddNum(p.uid)
		}
	}
	return uids
}

// depth returns what is left of the nesting that criteria may have; negative:
// it has more.
func depth(c *imap.SearchCriteria, left int) int {
	if left < 0 {
		return left
	}
	least := left
	for i := range c.Not {
		least = min(least, depth(&c.Not[i], left-1))
	}
	for i := range c.Or {
		least = min(least, depth(&c.Or[i][0], left-1), depth(&c.Or[i][1], left-1))
	}
	return least
}

// resolve replaces the marker of SEARCHRES and `*` in the sets of criteria by
// what they stand for.
func (s *session) resolve(c *imap.SearchCriteria) {
	for i, set := range c.SeqNum {
		if imap.IsSearchRes(set) {
			c.SeqNum[i] = nil
			c.UID = append(c.UID, s.saved)
		}
	}
	var seqs []imap.SeqSet
	for _, set := range c.SeqNum {
		if set != nil {
			seqs = append(seqs, s.static(set))
		}
	}
	c.SeqNum = seqs
	for i, set := range c.UID {
		if imap.IsSearchRes(set) {
			c.UID[i] = s.saved
			continue
		}
		var static imap.UIDSet
		for _, p := range s.view.pick(set, s.saved) {
			static.AddNum(p.uid)
		}
		c.UID[i] = static
	}
	for i := range c.Not {
		s.resolve(&c.Not[i])
	}
	for i := range c.Or {
		s.resolve(&c.Or[i][0])
		s.resolve(&c.Or[i][1])
	}
}

func (s *session) static(set imap.SeqSet) imap.SeqSet {
	var static imap.SeqSet
	for _, r := range s.view.ranges(set) {
		static.AddRange(uint32(r.from), uint32(r.to))
	}
	return static
}

// matches tells whether all of criteria hold of c; what is cheap to know comes
// first.
func matches(c *candidate, q *imap.SearchCriteria) bool {
	for _, set := range q.SeqNum {
		if !set.Contains(c.seq) {
			return false
		}
	}
	for _, set := range q.UID {
		if !set.Contains(c.uid) {
			return false
		}
	}
	switch {
	case !within(c.date, q.Since, q.Before),
		q.Larger != 0 && c.size <= q.Larger,
		q.Smaller != 0 && c.size >= q.Smaller:
		return false
	}
	for _, f := range q.Flag {
		if !c.flags.Has(string(f)) {
			return false
		}
	}
	for _, f := range q.NotFlag {
		if c.flags.Has(string(f)) {
			return false
		}
	}
	return matchesText(c, q) && matchesNested(c, q)
}

func matchesText(c *candidate, q *imap.SearchCriteria) bool {
	for _, f := range q.Header {
		if !hasField(c.text.fields(f.Key), f.Value) {
			return false
		}
	}
	if !q.SentSince.IsZero() || !q.SentBefore.IsZero() {
		if sent := c.text.sent(); sent.IsZero() || !within(sent, q.SentSince, q.SentBefore) {
			return false
		}
	}
	for _, text := range q.Text {
		if !c.text.contains(strings.ToLower(text), true) {
			return false
		}
	}
	for _, text := range q.Body {
		if !c.text.contains(strings.ToLower(text), false) {
			return false
		}
	}
	return true
}

func matchesNested(c *candidate, q *imap.SearchCriteria) bool {
	for i := range q.Not {
		if matches(c, &q.Not[i]) {
			return false
		}
	}
	for i := range q.Or {
		if !matches(c, &q.Or[i][0]) && !matches(c, &q.Or[i][1]) {
			return false
		}
	}
	return true
}

// within compares days and disregards time and zone (RFC 3501 §6.4.4).
func within(t, since, before time.Time) bool {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	if !since.IsZero() && day.Before(since) {
		return false
	}
	return before.IsZero() || day.Before(before)
}

// hasField tells whether one of the values contains text; an empty text asks
// whether there is such a field at all (RFC 3501 §6.4.4).
func hasField(values []string, text string) bool {
	text = strings.ToLower(text)
	for _, v := range values {
		if strings.Contains(strings.ToLower(v), text) {
			return true
		}
	}
	return false
}
