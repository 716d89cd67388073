package imapd

import (
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"
	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// A reader is a client that knows its mailbox from what it was told.
type reader struct {
	t     *rapid.T
	count int
	flags map[int][]imap.Flag // by number, of those it heard of
	uids  []imap.UID          // by number; zero: it does not know yet
}

func (r *reader) hear(updates []update) {
	for _, u := range updates {
		switch {
		case u.expunge != 0:
			n := int(u.expunge)
			if n > r.count {
				r.t.Fatalf("expunge of %d, of %d", n, r.count)
			}
			r.uids = slices.Delete(r.uids, n-1, n)
			r.count--
		case u.exists != 0:
			if int(u.exists) < r.count {
				r.t.Fatalf("there are %d, and now %d without an expunge", r.count, u.exists)
			}
			for r.count < int(u.exists) {
				r.uids = append(r.uids, 0)
				r.count++
			}
		default:
			if int(u.seq) > r.count {
				r.t.Fatalf("flags of %d, of %d", u.seq, r.count)
			}
			if known := r.uids[u.seq-1]; known != 0 && known != u.uid {
				r.t.Fatalf("%d has UID %d, and was %d", u.seq, u.uid, known)
			}
			r.uids[u.seq-1] = u.uid
		}
	}
}

// A client that follows the updates has the server's list, whenever expunges
// were allowed; and in between its numbers name the messages that they named.
func TestViewFollows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := &mailbox.View{UIDNext: 1, ModSeq: 1}
		add := func(n int) {
			for range n {
				now.Messages = append(now.Messages, mailbox.Message{UID: now.UIDNext, ModSeq: now.ModSeq})
				now.UIDNext++
			}
		}
		add(rapid.IntRange(0, 5).Draw(t, "messages"))
		v := newView(now)
		r := &reader{t: t}
		for i := range now.Messages {
			r.uids = append(r.uids, imap.UID(now.Messages[i].UID))
			r.count++
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			next := &mailbox.View{UIDNext: now.UIDNext, ModSeq: now.ModSeq + 1}
			for _, m := range now.Messages {
				switch rapid.IntRange(0, 5).Draw(t, "what happens") {
				case 0: // it goes
					continue
				case 1:
					m.Flags.System = mailbox.Flag(rapid.IntRange(0, 31).Draw(t, "flags"))
					m.ModSeq = next.ModSeq
				}
				next.Messages = append(next.Messages, m)
			}
			now = next
			add(rapid.IntRange(0, 3).Draw(t, "new"))
			allow := rapid.Bool().Draw(t, "expunge is allowed")
			r.hear(v.follow(now, allow))
			if allow {
				compare(t, v, now)
			}
			if r.count != len(v.entries) {
				t.Fatalf("the client has %d, the view %d", r.count, len(v.entries))
			}
			for i, uid := range r.uids {
				if uid != 0 && uid != v.entries[i].uid {
					t.Fatalf("number %d is %d for the client, %d in the view", i+1, uid, v.entries[i].uid)
				}
			}
		}
	})
}

func compare(t *rapid.T, v *view, now *mailbox.View) {
	if len(v.entries) != len(now.Messages) {
		t.Fatalf("%d in the view, %d in the mailbox", len(v.entries), len(now.Messages))
	}
	for i, e := range v.entries {
		m := now.Messages[i]
		if e.uid != imap.UID(m.UID) || e.flags != m.Flags || e.gone {
			t.Fatalf("%d: %+v in the view, %+v in the mailbox", i+1, e, m)
		}
	}
}

// pick names what a look at each message names.
func TestPick(t *testing.T) {
	number := rapid.Uint32Range(0, 12)
	rapid.Check(t, func(t *rapid.T) {
		v := &view{}
		uid := imap.UID(0)
		for range rapid.IntRange(0, 8).Draw(t, "messages") {
			uid += imap.UID(rapid.IntRange(1, 3).Draw(t, "gap"))
			v.entries = append(v.entries, entry{uid: uid, gone: rapid.IntRange(0, 3).Draw(t, "gone") == 0})
		}
		var seqs imap.SeqSet
		var uids imap.UIDSet
		var ranges [][2]uint32
		for range rapid.IntRange(1, 4).Draw(t, "ranges") {
			start, stop := number.Draw(t, "start"), number.Draw(t, "stop")
			if rapid.IntRange(0, 9).Draw(t, "high") == 0 {
				stop = ^uint32(0)
			}
			ranges = append(ranges, [2]uint32{start, stop})
			seqs = append(seqs, imap.SeqRange{Start: start, Stop: stop})
			uids = append(uids, imap.UIDRange{Start: imap.UID(start), Stop: imap.UID(stop)})
		}
		named := func(n, last uint32) bool {
			return slices.ContainsFunc(ranges, func(r [2]uint32) bool {
				from, to := order(r[0], r[1], last)
				return from <= n && n <= to
			})
		}
		var bySeq, byUID []picked
		for i, e := range v.entries {
			p := picked{uint32(i + 1), e.uid}
			if !e.gone && named(p.seq, uint32(len(v.entries))) {
				bySeq = append(bySeq, p)
			}
			if !e.gone && named(uint32(e.uid), uint32(uid)) {
				byUID = append(byUID, p)
			}
		}
		if got := v.pick(seqs, nil); !slices.Equal(got, bySeq) {
			t.Fatalf("%v: %v, want %v", seqs, got, bySeq)
		}
		if got := v.pick(uids, nil); !slices.Equal(got, byUID) {
			t.Fatalf("UID %v: %v, want %v", uids, got, byUID)
		}
	})
}
