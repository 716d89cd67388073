package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// bobs is a path below bob's folder.
func bobs(s *Store, path ...string) string {
	return filepath.Join(append([]string{s.root, bob}, path...)...)
}

// names lists the message files of a folder.
func names(t testing.TB, dir string) []string {
	t.Helper()
	all, err := readNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func put(t testing.TB, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fileOf is where the message uid is.
func fileOf(t testing.TB, m *Mailbox, uid UID) string {
	t.Helper()
	v := view(t, m)
	place, ok := v.Find(uid)
	if !ok {
		t.Fatalf("no message %d", uid)
	}
	return m.box.path(&v.Messages[place])
}

// Someone empties a mailbox by removing its folder, while the server runs.
// What is delivered then is read, with UIDs that no message had before.
func TestFolderIsRemoved(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	m := mailbox(t, s, Inbox)
	before := view(t, m)
	for range 2 {
		if err := os.RemoveAll(bobs(s)); err != nil {
			t.Fatal(err)
		}
		deliver(t, s, "", "", crepe)
		after := view(t, m)
		if len(after.Messages) != 1 || after.Messages[0].UID != before.UIDNext || after.UIDValidity != before.UIDValidity {
			t.Fatalf("got %d messages, UIDNEXT %d and UIDVALIDITY %d after %d and %d", len(after.Messages), after.UIDNext, after.UIDValidity,
				before.UIDNext, before.UIDValidity)
		}
		before = after
	}
	if again := view(t, mailbox(t, open(t, s.root), Inbox)); again.UIDValidity != before.UIDValidity || again.UIDNext != before.UIDNext || len(again.Messages) != 1 {
		t.Errorf("a new store has %d messages, UIDNEXT %d; want 1, %d", len(again.Messages), again.UIDNext, before.UIDNext)
	}
}

func TestOtherProgramsChangeTheMaildir(t *testing.T) {
	s := open(t, t.TempDir())
	for range 4 {
		deliver(t, s, "", "", crepe)
	}
	m := mailbox(t, s, Inbox)
	before := view(t, m)

	// A reader moves the first to cur/ and marks it; another removes the
	// second; a third delivers, with LF and without sizes in the name.
	first := fileOf(t, m, 1)
	if err := os.Rename(first, bobs(s, "cur", filepath.Base(first)+":2,FS")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(fileOf(t, m, 2)); err != nil {
		t.Fatal(err)
	}
	put(t, bobs(s, "new", "9999999999.1_1.other"), "Subject: LF\n\na\n")
	put(t, bobs(s, "cur", "9999999999.2_1.other:2,T"), "x")
	put(t, bobs(s, "new", ".hidden"), "x")
	if err := os.Mkdir(bobs(s, "new", "folder"), 0o700); err != nil {
		t.Fatal(err)
	}

	wantList(t, m, `1:\Flagged,\Seen 3 4 5 6:\Deleted`)
	c := view(t, m).Since(before)
	if got := fmt.Sprint(c.Expunged, len(c.Changed), len(c.Added)); got != "[2] 1 2" {
		t.Errorf("changes: %s", got)
	}
	if got, want := read(t, m, 5), "Subject: LF\r\n\r\na\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	v := view(t, m)
	if place, _ := v.Find(5); v.Messages[place].Size != 18 {
		t.Errorf("size %d, want that with CRLF, 18", v.Messages[place].Size)
	}
}

func TestAMessageThatComesBackIsANewOne(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	deliver(t, s, "", "", crepe)
	m := mailbox(t, s, Inbox)
	file := fileOf(t, m, 1)
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(file, away); err != nil {
		t.Fatal(err)
	}
	wantList(t, m, "2")
	if err := os.Rename(away, file); err != nil {
		t.Fatal(err)
	}
	wantList(t, m, "2 3")
	m.Close()
	s.Close()
	m = mailbox(t, open(t, s.root), Inbox)
	wantList(t, m, "2 3")
	if got := view(t, m); len(got.Messages) != 2 || got.UIDNext != 4 {
		t.Errorf("after a restart: %s, UIDNEXT %d", list(got), got.UIDNext)
	}
}

func TestOperationsFindFilesThatWereRenamed(t *testing.T) {
	s := open(t, t.TempDir())
	for range 5 {
		deliver(t, s, "", "", crepe)
	}
	m := mailbox(t, s, Inbox)
	v := view(t, m)
	for i := range v.Messages { // behind the back of m
		file := m.box.path(&v.Messages[i])
		if err := os.Rename(file, bobs(s, "cur", filepath.Base(file)+":2,R")); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, m, 1); !strings.HasSuffix(got, crepe) {
		t.Errorf("got %q", got)
	}
	if got, err := m.SetFlags([]UID{2}, AddFlags, Flags{System: Seen}); err != nil || got[0].Flags.System != Seen|Answered {
		t.Errorf("SetFlags: %v, %v", got, err)
	}
	if got, err := m.Expunge([]UID{3}); err != nil || len(got) != 1 {
		t.Errorf("Expunge: %v, %v", got, err)
	}
	if got, err := m.Copy([]UID{4}, Inbox); err != nil || len(got.To) != 1 {
		t.Errorf("Copy: %v, %v", got, err)
	}
	if err := s.Create(bob, "x", ""); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Move([]UID{5, 99}, "x"); err != nil || len(got.To) != 1 {
		t.Errorf("Move: %v, %v", got, err)
	}
	wantList(t, m, `1:\Answered 2:\Answered,\Seen 4:\Answered 6:\Answered`)
}

func TestMessagesThatAreGoneArePassedOver(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	m := mailbox(t, s, Inbox)
	if err := os.Remove(fileOf(t, m, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(1); !errors.Is(err, ErrNoMessage) {
		t.Errorf("Open: %v", err)
	}
	if got, err := m.SetFlags([]UID{1}, AddFlags, Flags{System: Seen}); err != nil || len(got) != 0 {
		t.Errorf("SetFlags: %v, %v", got, err)
	}
	if got, err := m.Expunge([]UID{1}); err != nil || len(got) != 0 {
		t.Errorf("Expunge: %v, %v", got, err)
	}
	if got, err := m.Copy([]UID{1}, Inbox); err != nil || len(got.To) != 0 {
		t.Errorf("Copy: %v, %v", got, err)
	}
}

func TestTheUIDList(t *testing.T) {
	torn := func(b []byte) []byte { return append(b, "9 1 1 1795500"...) }
	cut := func(b []byte) []byte { return b[:len(b)-7] }
	for name, c := range map[string]struct {
		edit   func([]byte) []byte
		same   bool // UIDVALIDITY
		list   string
		before bool // remove the messages first
	}{
		"as it was":                   {edit: func(b []byte) []byte { return b }, same: true, list: "1 2 3"},
		"a line that was not ended":   {edit: torn, same: true, list: "1 2 3"},
		"the last line is cut":        {edit: cut, same: true, list: "1 2 3"},
		"the file is empty":           {edit: func([]byte) []byte { return nil }, list: "1 2 3"},
		"the file is gone":            {edit: nil, list: "1 2 3"},
		"zeros, as after a power cut": {edit: func(b []byte) []byte { return make([]byte, len(b)) }, list: "1 2 3"},
		"zeros at the end":            {edit: func(b []byte) []byte { return append(b, make([]byte, 100)...) }, same: true, list: "1 2 3"},
		"UIDs that do not ascend":     {edit: func(b []byte) []byte { return append(b, "2 1 1 abc\n"...) }, list: "1 2 3"},
		"a line that is none":         {edit: func(b []byte) []byte { return append(b, "hello\n"...) }, list: "1 2 3"},
		"another version":             {edit: func(b []byte) []byte { return bytes.Replace(b, []byte("list 1"), []byte("list 2"), 1) }, list: "1 2 3"},
		"the next UID is given":       {edit: func(b []byte) []byte { return append(b, "next 10\n"...) }, same: true, list: "1 2 3"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			s := open(t, root)
			for range 3 {
				deliver(t, s, "", "", crepe)
			}
			m := mailbox(t, s, Inbox)
			validity := view(t, m).UIDValidity
			m.Close()
			s.Close()
			file := bobs(s, uidListFile)
			if c.edit == nil {
				os.Remove(file)
			} else {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				put(t, file, string(c.edit(b)))
			}
			s = open(t, root)
			s.validity = validity // as a clock that went on would have it
			m = mailbox(t, s, Inbox)
			wantList(t, m, c.list)
			if same := view(t, m).UIDValidity == validity; same != c.same {
				t.Errorf("UIDVALIDITY is the same: %v, want %v", same, c.same)
			}
			deliver(t, s, "", "", crepe)
			next := view(t, m).UIDNext
			m.Close()
			s.Close()
			again := mailbox(t, open(t, root), Inbox)
			if v := view(t, again); v.UIDNext != next || len(v.Messages) != 4 {
				t.Errorf("after another start: UIDNEXT %d, %d messages, want %d and 4", v.UIDNext, len(v.Messages), next)
			}
		})
	}
}

func TestUIDsAreNeverUsedAgain(t *testing.T) {
	root := t.TempDir()
	for round := range 5 {
		s := open(t, root)
		deliver(t, s, "", "", crepe)
		m := mailbox(t, s, Inbox)
		wantList(t, m, fmt.Sprint(round+1))
		if _, err := m.Expunge([]UID{UID(round + 1)}); err != nil {
			t.Fatal(err)
		}
		if round == 2 { // the list is written anew
			m.box.mu.Lock()
			err := m.box.list.write(m.box.messages)
			m.box.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
		}
		m.Close()
		s.Close()
	}
}

func TestTheListIsMadeShorter(t *testing.T) {
	s := open(t, t.TempDir())
	m := mailbox(t, s, Inbox)
	n := deadLines + 10
	for i := range n {
		put(t, bobs(s, "new", fmt.Sprintf("%d.x,S=1,W=1", 1000000000+i)), "x")
	}
	v := view(t, m)
	if len(v.Messages) != n {
		t.Fatal(len(v.Messages))
	}
	uids := make([]UID, 0, n)
	for i := range v.Messages[1:] {
		uids = append(uids, v.Messages[i].UID)
	}
	if _, err := m.Expunge(uids); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(bobs(s, uidListFile))
	if err != nil || len(b) > 200 || !strings.Contains(string(b), fmt.Sprintf("next %d\n", n+1)) {
		t.Errorf("%d octets: %.200q, %v", len(b), b, err)
	}
	wantList(t, m, fmt.Sprint(n))
}

func TestTmpIsCleaned(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	old, young := bobs(s, "tmp", "old"), bobs(s, "tmp", "young")
	put(t, old, "x")
	put(t, young, "x")
	past := time.Now().Add(-2 * tmpAge)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	mailbox(t, s, Inbox)
	if got := names(t, bobs(s, "tmp")); len(got) != 1 || got[0] != "young" {
		t.Errorf("tmp has %v", got)
	}
}

func TestAWatchHearsOfEverything(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(root, Options{Hostname: "hamburger.edu"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		m, err := s.Mailbox(bob, Inbox)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		other, err := s.Mailbox(bob, Inbox)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		w := m.Watch()
		defer w.Close()
		for _, c := range []struct {
			name string
			do   func()
			want string
		}{
			{"a delivery", func() { deliver(t, s, "", "", crepe) }, "1"},
			{"another one", func() { deliver(t, s, "", `\Flagged`, crepe) }, `1 2:\Flagged`},
			{"an append", func() { s.Append(bob, Inbox, strings.NewReader(crepe), Flags{}, time.Time{}) }, `1 2:\Flagged 3`},
			{"flags", func() { other.SetFlags([]UID{1}, ReplaceFlags, Flags{System: Seen}) }, `1:\Seen 2:\Flagged 3`},
			{"a copy", func() { other.Copy([]UID{1}, Inbox) }, `1:\Seen 2:\Flagged 3 4:\Seen`},
			{"an expunge", func() { other.Expunge([]UID{1, 3}) }, `2:\Flagged 4:\Seen`},
			{"another program's delivery", func() { put(t, bobs(s, "new", "1.x"), "x") }, `2:\Flagged 4:\Seen 5`},
			{"another program's removal", func() { os.Remove(bobs(s, "new", "1.x")) }, `2:\Flagged 4:\Seen`},
		} {
			if _, err := m.View(); err != nil {
				t.Fatal(err)
			}
			c.do()
			select {
			case <-w.C:
			case <-time.After(2 * DefaultPoll):
				t.Fatalf("%s: nothing was heard", c.name)
			}
			v, err := m.View()
			if err != nil {
				t.Fatal(err)
			}
			if got := list(v); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	})
}
