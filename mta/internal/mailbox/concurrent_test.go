package mailbox

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSessionsAtTheSameTime lets deliveries, sessions and another program work
// on two mailboxes at once. Whatever a session sees must follow from what it
// saw before; at the end every message is in exactly one mailbox.
func TestSessionsAtTheSameTime(t *testing.T) {
	const each = 60
	s := open(t, t.TempDir())
	create(t, s, "Other")
	var writers, sessions sync.WaitGroup
	stop := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			for i := range each {
				deliver(t, s, "", "", fmt.Sprintf("Subject: %d-%d\r\n\r\n", w, i))
			}
		})
	}
	writers.Go(func() {
		for i := range each {
			if _, err := s.Append(bob, "Other", strings.NewReader(fmt.Sprintf("Subject: 3-%d\r\n\r\n", i)), Flags{}, time.Time{}); err != nil {
				t.Error(err)
			}
		}
	})
	for i, name := range []string{Inbox, Inbox, "Other"} {
		sessions.Go(func() { act(t, s, name, rand.New(rand.NewPCG(1, uint64(i))), stop) })
	}
	sessions.Go(func() { interfere(s, stop) })
	writers.Wait()
	close(stop)
	sessions.Wait()

	subjects := map[string]int{}
	for _, name := range []string{Inbox, "Other"} {
		m := mailbox(t, s, name)
		for _, msg := range view(t, m).Messages {
			_, subject, _ := strings.Cut(read(t, m, msg.UID), "Subject: ")
			subjects[subject]++
		}
	}
	if len(subjects) != 4*each {
		t.Errorf("%d messages, want %d", len(subjects), 4*each)
	}
	for subject, n := range subjects {
		if n != 1 {
			t.Errorf("%q is there %d times", subject, n)
		}
	}
}

// act is a session: it looks, marks and moves.
func act(t *testing.T, s *Store, name string, rnd *rand.Rand, stop <-chan struct{}) {
	m, err := s.Mailbox(bob, name)
	if err != nil {
		t.Error(err)
		return
	}
	defer m.Close()
	w := m.Watch()
	defer w.Close()
	dest := map[string]string{Inbox: "Other", "Other": Inbox}[name]
	var last *View
	for {
		select {
		case <-stop:
			return
		default:
		}
		v, err := []func() (*View, error){m.View, m.Refresh, m.Reload}[rnd.IntN(3)]()
		if err != nil {
			t.Error(err)
			return
		}
		follows(t, last, v)
		last = v
		if len(v.Messages) == 0 {
			continue
		}
		uid := v.Messages[rnd.IntN(len(v.Messages))].UID
		switch rnd.IntN(3) {
		case 0:
			_, err = m.Move([]UID{uid}, dest)
		case 1:
			_, err = m.SetFlags([]UID{uid}, FlagChange(rnd.IntN(3)), Flags{System: Flag(rnd.IntN(32))})
		default:
			var c *Content
			if c, err = m.Open(uid); err == nil {
				c.Close()
			} else if errors.Is(err, ErrNoMessage) {
				err = nil
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// follows holds that UIDs ascend, and that what was added is behind all that
// was there before.
func follows(t *testing.T, before, now *View) {
	if !slices.IsSortedFunc(now.Messages, func(a, b Message) int { return int(a.UID) - int(b.UID) }) {
		t.Error("UIDs do not ascend")
	}
	if n := len(now.Messages); n > 0 && now.Messages[n-1].UID >= now.UIDNext {
		t.Errorf("UID %d, UIDNEXT %d", now.Messages[n-1].UID, now.UIDNext)
	}
	if before == nil {
		return
	}
	for _, m := range now.Since(before).Added {
		if m.UID < before.UIDNext {
			t.Errorf("UID %d is new, but UIDNEXT was %d", m.UID, before.UIDNext)
		}
	}
}

// interfere is another program: it moves messages to cur/ and marks them.
func interfere(s *Store, stop <-chan struct{}) {
	rnd := rand.New(rand.NewPCG(2, 3))
	for {
		select {
		case <-stop:
			return
		default:
		}
		for _, sub := range []string{"new", "cur"} {
			all, _ := readNames(bobs(s, sub))
			if len(all) == 0 {
				continue
			}
			name := all[rnd.IntN(len(all))]
			base, _, _ := strings.Cut(name, ":")
			info := []string{":2,", ":2,S", ":2,RS"}[rnd.IntN(3)]
			os.Rename(bobs(s, sub, name), filepath.Join(bobs(s, "cur"), base+info))
		}
	}
}
