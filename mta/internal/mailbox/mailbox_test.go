package mailbox

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var bobsPath = mail.Path{Local: "bob", Domain: "hamburger.edu"}

const (
	bob   = "bob@hamburger.edu"
	crepe = "Subject: crepe\r\n\r\nDo you like ketchup?\r\n"
)

func open(t testing.TB, root string) *Store {
	t.Helper()
	s, err := Open(root, Options{Hostname: "hamburger.edu"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func deliver(t testing.TB, s *Store, folder, flags, content string) {
	t.Helper()
	if err := s.Deliver(context.Background(), bob, folder, flags, bobsPath, message(content)); err != nil {
		t.Fatal(err)
	}
}

func message(content string) *mail.Message {
	return &mail.Message{
		ID: "TEST", Received: time.Now(),
		Envelope: mail.Envelope{ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"}},
		Content:  mail.Bytes(content),
	}
}

func mailbox(t testing.TB, s *Store, name string) *Mailbox {
	t.Helper()
	m, err := s.Mailbox(bob, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func view(t testing.TB, m *Mailbox) *View {
	t.Helper()
	v, err := m.Reload()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func read(t testing.TB, m *Mailbox, uid UID) string {
	t.Helper()
	c, err := m.Open(uid)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != c.Size() {
		t.Errorf("message %d: %d octets, Size says %d", uid, len(b), c.Size())
	}
	return string(b)
}

// list writes a view in one line: "1 2:\Seen 3".
func list(v *View) string {
	var b strings.Builder
	for i := range v.Messages {
		m := &v.Messages[i]
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, m.UID)
		if names := m.Flags.Names(); len(names) > 0 {
			b.WriteString(":" + strings.Join(names, ","))
		}
	}
	return b.String()
}

func wantList(t testing.TB, m *Mailbox, want string) {
	t.Helper()
	if got := list(view(t, m)); got != want {
		t.Errorf("%s: got %q, want %q", m.Name(), got, want)
	}
}

func TestADeliveredMessageIsRead(t *testing.T) {
	s := open(t, t.TempDir())
	deliver(t, s, "", "", crepe)
	m := mailbox(t, s, "inbox")
	wantList(t, m, "1")
	want := "Return-Path: <alice@crepes.fr>\r\nDelivered-To: bob@hamburger.edu\r\n" + crepe
	if got := read(t, m, 1); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := view(t, m).Messages[0].Size; got != int64(len(want)) {
		t.Errorf("size %d, want %d", got, len(want))
	}
}

func TestTheLifeOfAMailbox(t *testing.T) {
	root := t.TempDir()
	s := open(t, root)
	for range 3 {
		deliver(t, s, "Lists/go", "", crepe)
	}
	m := mailbox(t, s, "Lists/go")
	wantList(t, m, "1 2 3")
	flags, _ := ParseFlags([]string{`\Seen`, "$Forwarded"})
	if _, err := m.SetFlags([]UID{2, 9}, AddFlags, flags); err != nil {
		t.Fatal(err)
	}
	wantList(t, m, `1 2:\Seen,$Forwarded 3`)
	if got, err := m.Expunge([]UID{1, 9}); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	done, err := m.Copy([]UID{2, 3}, Inbox)
	if err != nil || len(done.To) != 2 {
		t.Fatal(done, err)
	}
	if done, err = m.Move([]UID{3}, Inbox); err != nil || done.To[0] != 3 {
		t.Fatal(done, err)
	}
	wantList(t, m, `2:\Seen,$Forwarded`)
	inbox := mailbox(t, s, Inbox)
	wantList(t, inbox, `1:\Seen,$Forwarded 2 3`)
	validity := view(t, inbox).UIDValidity

	s.Close()
	s = open(t, root)
	again := mailbox(t, s, Inbox)
	wantList(t, again, `1:\Seen,$Forwarded 2 3`)
	if got := view(t, again).UIDValidity; got != validity {
		t.Errorf("UIDVALIDITY was %d, is %d", validity, got)
	}
	if _, err := s.Append(bob, Inbox, strings.NewReader("a\nb"), flags, time.Unix(86400, 0)); err != nil {
		t.Fatal(err)
	}
	wantList(t, again, `1:\Seen,$Forwarded 2 3 4:\Seen,$Forwarded`)
	if got := read(t, again, 4); got != "a\r\nb" {
		t.Errorf("got %q", got)
	}
}
