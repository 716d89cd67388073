package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// folders writes a listing in one line: "INBOX Sent+\Sent a(b)".
func folders(t testing.TB, s *Store) string {
	t.Helper()
	all, err := s.Folders(bob)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, f := range all {
		w := f.Name
		if !f.Exists {
			w = "(" + w + ")"
		}
		if f.HasChildren {
			w += "/"
		}
		if f.Subscribed {
			w += "+"
		}
		words = append(words, w+string(f.Use))
	}
	return strings.Join(words, " ")
}

func create(t testing.TB, s *Store, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := s.Create(bob, name, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFolders(t *testing.T) {
	s := open(t, t.TempDir())
	if got := folders(t, s); got != "INBOX" {
		t.Errorf("of a new account: %q", got)
	}
	create(t, s, "Sent", "a/b/c", "Entwürfe", "Trash/", "inbox/old")
	if err := s.Subscribe(bob, "Sent", true); err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribe(bob, "not/there", true); err != nil {
		t.Fatal(err)
	}
	want := `INBOX/ Entwürfe INBOX/old Sent+\Sent Trash\Trash (a)/ (a/b)/ a/b/c (not/there)+`
	if got := folders(t, s); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for name, use := range map[string]Use{"Gesendet": UseSent, "Papierkorb": UseTrash} {
		if err := s.Create(bob, name, use); err != nil {
			t.Fatal(err)
		}
	}
	s.Subscribe(bob, "not/there", false)
	s.Subscribe(bob, "Sent", false)
	want = `INBOX/ Entwürfe Gesendet\Sent INBOX/old Papierkorb\Trash Sent Trash (a)/ (a/b)/ a/b/c`
	if got := folders(t, s); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if err := s.Rename(bob, "Gesendet", "Raus"); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(bob, "Papierkorb"); err != nil {
		t.Fatal(err)
	}
	want = `INBOX/ Entwürfe INBOX/old Raus\Sent Sent Trash\Trash (a)/ (a/b)/ a/b/c`
	if got := folders(t, s); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestFolderErrors(t *testing.T) {
	s := open(t, t.TempDir())
	create(t, s, "a", "a/b", "c", "d/b")
	for name, c := range map[string]struct {
		got, want error
	}{
		"create INBOX":            {s.Create(bob, "inbox", ""), ErrExists},
		"create again":            {s.Create(bob, "a", ""), ErrExists},
		"create a bad name":       {s.Create(bob, "a//b", ""), ErrName},
		"delete INBOX":            {s.Delete(bob, "InBox"), ErrInbox},
		"delete what is not":      {s.Delete(bob, "x"), ErrNoMailbox},
		"rename what is not":      {s.Rename(bob, "x", "y"), ErrNoMailbox},
		"rename to one there":     {s.Rename(bob, "a", "c"), ErrExists},
		"rename over a child":     {s.Rename(bob, "a", "d"), ErrExists},
		"rename to INBOX":         {s.Rename(bob, "a", "INBOX"), ErrExists},
		"rename below itself":     {s.Rename(bob, "a", "a/x"), ErrName},
		"rename INBOX to one":     {s.Rename(bob, "INBOX", "a"), ErrExists},
		"open what is not":        {errOf(s.Mailbox(bob, "x")), ErrNoMailbox},
		"append to what is not":   {errOf(s.Append(bob, "x", strings.NewReader(""), Flags{}, time.Time{})), ErrNoMailbox},
		"status of what is not":   {errOf(s.Status(bob, "x")), ErrNoMailbox},
		"subscribe to a bad name": {s.Subscribe(bob, "a\x00", true), ErrName},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.got, c.want)
		}
	}
	if err := s.Create(bob, "x", `\Nonsense`); err == nil {
		t.Error("a use that is none was taken")
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestDeleteAndRenameWithAnOpenMailbox(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "a", "", crepe)
	deliver(t, s, "b", "", crepe)
	a, b := mailbox(t, s, "a"), mailbox(t, s, "b")
	validity := view(t, a).UIDValidity
	w := a.Watch()
	defer w.Close()
	if err := s.Delete(bob, "a"); err != nil {
		t.Fatal(err)
	}
	<-w.C
	if _, err := a.View(); !errors.Is(err, ErrNoMailbox) {
		t.Errorf("View of a mailbox that was deleted: %v", err)
	}
	if _, err := a.SetFlags([]UID{1}, AddFlags, Flags{System: Seen}); !errors.Is(err, ErrNoMailbox) {
		t.Errorf("SetFlags there: %v", err)
	}
	bValidity := view(t, b).UIDValidity
	if err := s.Rename(bob, "b", "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.View(); !errors.Is(err, ErrNoMailbox) {
		t.Errorf("View of a mailbox that was renamed: %v", err)
	}
	again := mailbox(t, s, "a")
	wantList(t, again, "1")
	if got := view(t, again).UIDValidity; got == validity || got != bValidity {
		t.Errorf("UIDVALIDITY %d, want that of b, %d, and not %d", got, bValidity, validity)
	}
	if left := names(t, bobs(s)); strings.Contains(fmt.Sprint(left), trashPrefix) {
		t.Errorf("left: %v", left)
	}
}

func TestAMailboxThatIsMadeAgainHasAnotherUIDValidity(t *testing.T) {
	s := open(t, t.TempDir())
	seen := map[uint32]bool{}
	for range 5 {
		create(t, s, "a")
		v := view(t, mailbox(t, s, "a")).UIDValidity
		if seen[v] {
			t.Errorf("UIDVALIDITY %d again", v)
		}
		seen[v] = true
		if err := s.Delete(bob, "a"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRenameInbox(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", `\Seen $Label1`, crepe)
	deliver(t, s, "", "", crepe)
	create(t, s, "INBOX/below")
	if err := s.Rename(bob, "inbox", "Old"); err != nil {
		t.Fatal(err)
	}
	wantList(t, mailbox(t, s, Inbox), "")
	wantList(t, mailbox(t, s, "Old"), `1:\Seen,$Label1 2`)
	if got := folders(t, s); got != "INBOX/ INBOX/below Old" {
		t.Errorf("got %q", got)
	}
}

func TestAnotherProgramMakesAndRemovesFolders(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(bobs(s, ".Entwürfe.x", sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(bobs(s, ".NoMaildir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(bobs(s), bobs(s, ".Link")); err != nil {
		t.Fatal(err)
	}
	if got := folders(t, s); got != "INBOX (Entwürfe)/ Entwürfe/x" {
		t.Errorf("got %q", got)
	}
	put(t, bobs(s, ".Entwürfe.x", "new", "1.x"), "x")
	m := mailbox(t, s, "Entwürfe/x")
	wantList(t, m, "1")
	if err := os.RemoveAll(bobs(s, ".Entwürfe.x")); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Reload(); !errors.Is(err, ErrNoMailbox) {
		t.Errorf("after it was removed: %v", err)
	}
	create(t, s, "Entwürfe/x")
	wantList(t, mailbox(t, s, "Entwürfe/x"), "")
}

func TestDeliveryToOddFolders(t *testing.T) {
	root := t.TempDir()
	s, err := Open(root, Options{Known: func(a string) (string, bool) { return strings.ToLower(a), strings.EqualFold(a, bob) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	deliver(t, s, "a//../b", `\Seen \Nonsense`, crepe)
	deliver(t, s, "InBox", "", crepe)
	deliver(t, s, "Lists/go.dev", "$Label1", crepe)
	wantList(t, mailbox(t, s, Inbox), "1 2")
	wantList(t, mailbox(t, s, "Lists/go.dev"), "1:$Label1")
	if got := folders(t, s); got != "INBOX (Lists)/ Lists/go.dev+" {
		t.Errorf("got %q", got)
	}
	if err := s.Deliver(t.Context(), "BOB@hamburger.edu", "", "", bobsPath, message(crepe)); err != nil {
		t.Error(err)
	}
	if err := s.Deliver(t.Context(), "nobody@hamburger.edu", "", "", bobsPath, message(crepe)); !errors.Is(err, ErrAccount) {
		t.Errorf("to nobody: %v", err)
	}
	entries, _ := os.ReadDir(root)
	if len(entries) != 1 {
		t.Errorf("accounts: %v", entries)
	}
}

func TestSubscriptionsOfDovecot(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"version 2":       {"V\t2\n\nSent\nLists\tgo\nEntw&APw-rfe\n", "Entwürfe Lists/go Sent"},
		"version 2, text": {"V\t2\n\nEntwürfe\n", "Entwürfe"},
		"version 1":       {"Sent\nLists.go\nINBOX\n", "INBOX Lists/go Sent"},
		"nonsense":        {"\x00\n..\n\n", ""},
	} {
		s := open(t, t.TempDir())
		create(t, s, "x")
		put(t, bobs(s, subscriptionsFile), c.text)
		all, err := s.Folders(bob)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range all {
			if f.Subscribed {
				got = append(got, f.Name)
			}
		}
		want := strings.Fields(c.want)
		if fmt.Sprint(sorted(got)) != fmt.Sprint(sorted(want)) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func sorted(s []string) map[string]bool {
	m := map[string]bool{}
	for _, w := range s {
		m[w] = true
	}
	return m
}

func TestADiskThatFailsLosesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	if err := os.Rename(bobs(s, "tmp"), bobs(s, "tmp.away")); err != nil {
		t.Fatal(err)
	}
	put(t, bobs(s, "tmp"), "")
	if err := s.Deliver(t.Context(), bob, "", "", bobsPath, message(crepe)); err == nil {
		t.Error("delivered without tmp/")
	}
	os.Remove(bobs(s, "tmp"))
	os.Rename(bobs(s, "tmp.away"), bobs(s, "tmp"))

	// A UID list that cannot be written to.
	m := mailbox(t, s, Inbox)
	wantList(t, m, "1")
	list := bobs(s, uidListFile)
	if err := os.Rename(list, list+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(list, 0o700); err != nil {
		t.Fatal(err)
	}
	deliver(t, s, "", "", crepe)
	wantList(t, m, "1")
	if got := read(t, m, 1); !strings.HasSuffix(got, crepe) {
		t.Errorf("got %q", got)
	}
	if _, err := s.Append(bob, Inbox, strings.NewReader(crepe), Flags{}, time.Time{}); err == nil {
		t.Error("appended without a UID")
	}
	os.Remove(list)
	os.Rename(list+".away", list)
	wantList(t, m, "1 2")
	if left := names(t, filepath.Join(s.root, bob, "tmp")); len(left) != 0 {
		t.Errorf("tmp has %v", left)
	}
}
