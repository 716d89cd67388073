package report

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

var update = flag.Bool("update", false, "write what came out into the files of testdata")

// stateOf reads a state from the files of an archive whose name ends so.
func stateOf(t *testing.T, a *txtar.Archive, side string) *State {
	t.Helper()
	s := &State{}
	s.Envelope.ReversePath = path(t, "alice@crepes.fr")
	for _, f := range a.Files {
		switch f.Name {
		case side + ".eml":
			s.Content = mail.Bytes(bytes.ReplaceAll(f.Data, []byte("\n"), []byte("\r\n")))
		case side + ".to":
			for line := range strings.Lines(string(f.Data)) {
				p := path(t, strings.TrimSpace(line))
				s.Envelope.Recipients = append(s.Envelope.Recipients, mail.Recipient{Path: p, Original: p})
			}
		}
	}
	return s
}

func path(t *testing.T, text string) mail.Path {
	t.Helper()
	p, err := mail.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Each file of testdata has a message before and after, and what is shown.
func TestDifferences(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := txtar.Parse(text)
			c, err := Compare(stateOf(t, a, "before"), stateOf(t, a, "after"))
			if err != nil {
				t.Fatal(err)
			}
			p := &page{}
			p.changes(c)
			golden(t, file, a, p.String())
		})
	}
}

// golden holds what came out against the file want of an archive.
func golden(t *testing.T, file string, a *txtar.Archive, got string) {
	t.Helper()
	for i := range a.Files {
		if a.Files[i].Name != "want" {
			continue
		}
		if *update {
			a.Files[i].Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		if diff := cmp.Diff(string(a.Files[i].Data), got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		return
	}
	t.Fatal("no file want")
}

func TestEverythingOfAnEnvelopeIsCompared(t *testing.T) {
	bob := path(t, "bob@hamburger.edu")
	before := &State{Envelope: mail.Envelope{Recipients: []mail.Recipient{{Path: bob, Original: bob}, {Path: bob, Original: bob}}}, Notes: map[string]string{"a": "1", "b": "2"}}
	after := &State{Hold: "smells", Notes: map[string]string{"a": "1", "b": "3"}, QueuedNotes: map[string]string{"q": "x"}, SessionNotes: map[string]string{"s": "\x1b"}}
	after.Envelope.ReversePath = path(t, "alice@crepes.fr")
	after.Envelope.Recipients = []mail.Recipient{
		{Path: bob, Original: bob, Deliver: &mail.Target{Account: "carol@hamburger.edu", Folder: "Lists/go", Flags: `\Seen \Flagged`}},
		{Path: path(t, "b@x.example"), Original: bob, Route: &mail.NextHop{Host: "mx.x.example", Port: 2525, RequireTLS: true, NoMX: true, LMTP: true}},
		{Path: bob, Original: bob, Refused: &mail.Refusal{Code: 550, Enh: "5.7.1", Text: "No"}},
	}
	c, err := Compare(before, after)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{}
	p.changes(c)
	want := `    envelope
    - from: <>
    - to: bob@hamburger.edu
    - to: bob@hamburger.edu
    + from: alice@crepes.fr
    + to: bob@hamburger.edu deliver account=carol@hamburger.edu folder=Lists/go flags=\Seen,\Flagged
    + to: b@x.example was=bob@hamburger.edu relay host=mx.x.example:2525 tls no-mx lmtp
    + to: bob@hamburger.edu reply 550 5.7.1 No
    + held: smells
    notes
    - note: b=2
    + note: b=3
    + session note: s=\x1b
    + queued note: q=x
`
	if diff := cmp.Diff(want, p.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheSameMessageHasNoChanges(t *testing.T) {
	octets := bytes.Repeat([]byte("Subject: x\r\n\r\nbody\r\n"), 5000)
	a, b := &State{Content: mail.Bytes(octets)}, &State{Content: mail.Bytes(bytes.Clone(octets))}
	if c, err := Compare(a, b); err != nil || !c.Empty() {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestHugeMessagesHaveShortDifferences(t *testing.T) {
	var old, now strings.Builder
	old.WriteString("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
	for i := range 3000 {
		fmt.Fprintf(&old, "--b\r\nContent-Type: text/plain\r\n\r\npart %d\r\n", i)
	}
	now.WriteString("Content-Type: text/plain\r\n")
	for i := range 9000 {
		fmt.Fprintf(&now, "X-%d: y\r\n", i)
	}
	now.WriteString("\r\n" + strings.Repeat("a line of text\r\n", 200_000))
	for _, pair := range [][2]string{{old.String(), now.String()}, {now.String(), old.String()}, {now.String(), now.String() + "the end\r\n"}} {
		c, err := Compare(&State{Content: mail.Bytes(pair[0])}, &State{Content: mail.Bytes(pair[1])})
		if err != nil {
			t.Fatal(err)
		}
		p := &page{}
		p.changes(c)
		if lines := strings.Count(p.String(), "\n"); lines == 0 || lines > 5*maxLines {
			t.Errorf("%d lines", lines)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte("A: b\r\n\r\nx"), []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		c, err := Compare(&State{Content: mail.Bytes(before)}, &State{Content: mail.Bytes(after)})
		if err != nil {
			t.Fatal(err)
		}
		if c.Empty() != bytes.Equal(before, after) {
			t.Errorf("%q and %q: %+v", before, after, c)
		}
		p := &page{}
		p.changes(c)
		if i := strings.IndexFunc(p.String(), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0x9b }); i >= 0 {
			t.Errorf("control characters get through: %q", p.String())
		}
	})
}
