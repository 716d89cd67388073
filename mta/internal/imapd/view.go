package imapd

import (
	"slices"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// A view is what one client knows of its selected mailbox: which messages
// there are, in which order, with which flags. The mailbox moves on; the view
// follows only when the client may be told (RFC 3501 §5.5, §7.4.1). Sequence
// numbers are places in the view. One session owns it.
type view struct {
	entries []entry
	seen    *mailbox.View // what the view last followed
}

// An entry is one message as the client knows it.
type entry struct {
	uid   imap.UID
	flags mailbox.Flags // as last told
	gone  bool          // not in the mailbox any more, and the client not told yet
}

// newView is the view of a client that just selected the mailbox.
func newView(now *mailbox.View) *view {
	v := &view{seen: now, entries: make([]entry, len(now.Messages))}
	for i := range now.Messages {
		v.entries[i] = entryOf(&now.Messages[i])
	}
	return v
}

func entryOf(m *mailbox.Message) entry { return entry{uid: imap.UID(m.UID), flags: m.Flags} }

// An update is something that the client has to hear.
type update struct {
	expunge uint32 // sequence number; zero: it is none
	exists  uint32 // number of messages; zero: it is none
	seq     uint32 // with flags
	uid     imap.UID
	flags   []imap.Flag
}

// follow brings the view up to now and returns what the client has to hear, in
// an order it can follow. Without allowExpunge, messages that are gone keep
// their numbers.
func (v *view) follow(now *mailbox.View, allowExpunge bool) []update {
	changes := now.Since(v.seen)
	v.seen = now
	var updates []update
	for i := range changes.Changed {
		m := &changes.Changed[i]
		if e, seq := v.find(imap.UID(m.UID)); e != nil && e.flags != m.Flags {
			e.flags = m.Flags
			updates = append(updates, update{seq: seq, uid: e.uid, flags: flagNames(m.Flags)})
		}
	}
	for _, uid := range changes.Expunged {
		if e, _ := v.find(imap.UID(uid)); e != nil {
			e.gone = true
		}
	}
	for i := range changes.Added {
		v.entries = append(v.entries, entryOf(&changes.Added[i]))
	}
	if allowExpunge {
		updates = append(updates, v.expunge()...)
	}
	if len(changes.Added) > 0 {
		updates = append(updates, update{exists: uint32(len(v.entries))})
	}
	return updates
}

// expunge takes out the entries that are gone, the last first, so that each
// number is right when it is said.
func (v *view) expunge() []update {
	var updates []update
	for n := len(v.entries) - 1; n >= 0; n-- {
		if v.entries[n].gone {
			updates = append(updates, update{expunge: uint32(n + 1)})
		}
	}
	if updates != nil {
		v.entries = slices.DeleteFunc(v.entries, func(e entry) bool { return e.gone })
	}
	return updates
}

// find returns the entry of uid and its sequence number, zero if the client
// does not know it.
func (v *view) find(uid imap.UID) (*entry, uint32) {
	n, ok := slices.BinarySearchFunc(v.entries, uid, func(e entry, uid imap.UID) int {
		return int(int64(e.uid) - int64(uid))
	})
	if !ok {
		return nil, 0
	}
	return &v.entries[n], uint32(n + 1)
}

// tell writes updates.
func tell(w *imapserver.UpdateWriter, updates []update) error {
	for _, u := range updates {
		var err error
		switch {
		case u.expunge != 0:
			err = w.WriteExpunge(u.expunge)
		case u.exists != 0:
			err = w.WriteNumMessages(u.exists)
		default:
			err = w.WriteMessageFlags(u.seq, u.uid, u.flags)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A picked message is one that a command names.
type picked struct {
	seq uint32
	uid imap.UID
}

// pick returns the messages of the view that set names, in their order. The
// marker of SEARCHRES stands for saved.
func (v *view) pick(set imap.NumSet, saved imap.UIDSet) []picked {
	if imap.IsSearchRes(set) {
		set = saved
	}
	var all []picked
	for _, r := range v.ranges(set) {
		for n := r.from; n <= r.to; n++ {
			if e := v.entries[n-1]; !e.gone {
				all = append(all, picked{uint32(n), e.uid})
			}
		}
	}
	return all
}

// A span is a range of sequence numbers, both ends in it.
type span struct{ from, to int }

// ranges turns a set into spans of sequence numbers, in order and without
// overlap: a message is named once, however often the set has it.
func (v *view) ranges(set imap.NumSet) []span {
	var spans []span
	switch set := set.(type) {
	case imap.SeqSet:
		last := uint32(len(v.entries))
		for _, r := range set {
			from, to := order(r.Start, r.Stop, last)
			spans = append(spans, span{int(max(from, 1)), int(min(to, last))})
		}
	case imap.UIDSet:
		var last uint32
		if n := len(v.entries); n > 0 {
			last = uint32(v.entries[n-1].uid)
		}
		for _, r := range set {
			from, to := order(uint32(r.Start), uint32(r.Stop), last)
			spans = append(spans, span{v.before(from) + 1, v.before(to + 1)})
			if to == ^uint32(0) {
				spans[len(spans)-1].to = len(v.entries)
			}
		}
	}
	return join(spans)
}

// before is how many messages have a UID below uid.
func (v *view) before(uid uint32) int {
	n, _ := slices.BinarySearchFunc(v.entries, uid, func(e entry, uid uint32) int {
		return int(int64(e.uid) - int64(uid))
	})
	return n
}

// order replaces `*`, which is 0 here, by the last number, and puts the smaller
// number first (RFC 3501 §9, seq-range).
func order(start, stop, last uint32) (from, to uint32) {
	if start == 0 {
		start = last
	}
	if stop == 0 {
		stop = last
	}
	return min(start, stop), max(start, stop)
}

func join(spans []span) []span {
	spans = slices.DeleteFunc(spans, func(s span) bool { return s.from > s.to })
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var joined []span
	for _, s := range spans {
		if n := len(joined); n > 0 && s.from <= joined[n-1].to+1 {
			joined[n-1].to = max(joined[n-1].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	return joined
}
