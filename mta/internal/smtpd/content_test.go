package smtpd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// awkward is content in which anything may be: dots at the start of lines,
// empty lines, no header section, 8-bit octets.
func awkward(r *rand.Rand, size int) string {
	pieces := []string{".", "..", "\r\n", "\r\n.", "\r\n.\r\n", "\r\n..\r\n", "a", "ä", "\xff", "\t", " ", "Subject: x\r\n", strings.Repeat("long ", 200)}
	var b strings.Builder
	for b.Len() < size {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	b.WriteString("\r\n")
	return b.String()
}

func stuff(s string) string {
	s = strings.ReplaceAll("\r\n"+s, "\r\n.", "\r\n..")
	return s[2:] + ".\r\n"
}

// sizes are those around which content is kept in another way.
var sizes = []int{0, 100, 16 << 10, memoryContent - 200, memoryContent - 100, memoryContent, memoryContent + 1, 3 * memoryContent}

func TestContentIsExact(t *testing.T) {
	srv, q := newServer(t)
	addr := serve(t, srv)
	r := rand.New(rand.NewPCG(1, 2))
	var want []string
	for i, size := range sizes {
		text := awkward(r, size)
		var b strings.Builder
		b.WriteString("EHLO crepes.fr\r\n")
		b.WriteString("MAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n" + stuff(text))
		b.WriteString("MAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\n")
		cut := len(text) * i / len(sizes)
		fmt.Fprintf(&b, "BDAT %d\r\n%sBDAT %d LAST\r\n%sQUIT\r\n", cut, text[:cut], len(text)-cut, text[cut:])
		want = append(want, text, text)
		if got := say(t, addr, b.String()); strings.Count(got, "queued as") != 2 || !strings.Contains(got, "\r\n221 ") {
			t.Fatalf("%d octets: got %q", size, got)
		}
	}
	var got []string
	for _, m := range q.messages() {
		got = append(got, m.body())
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("message %d of %d octets is not as it was sent:\n%s", i, len(want[i]), cmp.Diff(want[i], got[i]))
		}
	}
	noFiles(t, srv)
}

func noFiles(t *testing.T, srv *Server) {
	t.Helper()
	files, err := os.ReadDir(srv.TempDir)
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v (%v)", files, err)
	}
}

// TestContentIsOctets holds what Octets promises, in memory and in a file.
func TestContentIsOctets(t *testing.T) {
	for _, size := range []int{1000, 3 * memoryContent} {
		srv, _ := newServer(t)
		var inFile bool
		srv.Policy = policyFunc(func(_ context.Context, tx *mail.Transaction) (mail.Verdict, error) {
			octets, ok := tx.Content.(mail.Octets)
			if !ok {
				t.Errorf("%T is no mail.Octets", tx.Content)
				return mail.Reject, nil
			}
			_, inFile = octets.(*fileContent)
			noFiles(t, srv) // it has no name
			first, second := openAll(t, octets), openAll(t, octets)
			if !bytes.Equal(first, second) || int64(len(first)) != octets.Size() || !bytes.HasPrefix(first, []byte("Received: ")) {
				t.Errorf("%d octets, then %d; Size is %d", len(first), len(second), octets.Size())
			}
			at := make([]byte, 10)
			if n, err := octets.ReadAt(at, octets.Size()-5); n != 5 || err != io.EOF || !bytes.Equal(at[:n], first[len(first)-5:]) {
				t.Errorf("ReadAt: %d, %v, %q", n, err, at[:n])
			}
			return mail.Accept, nil
		})
		got := say(t, serve(t, srv), "EHLO crepes.fr\r\nMAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n"+content(size)+"QUIT\r\n")
		if !strings.Contains(got, "queued as") || inFile != (size > memoryContent) {
			t.Errorf("%d octets: in a file %t; %q", size, inFile, got)
		}
	}
}

func openAll(t *testing.T, c mail.Content) []byte {
	t.Helper()
	r, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || r.Close() != nil {
		t.Fatal(err)
	}
	return b
}

func TestNoPlaceForTheFile(t *testing.T) {
	srv, q := newServer(t)
	srv.TempDir = filepath.Join(srv.TempDir, "is", "not", "there")
	message := "MAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n"
	got := say(t, serve(t, srv), "EHLO crepes.fr\r\n"+message+content(3*memoryContent)+message+content(10)+"QUIT\r\n")
	if !strings.Contains(got, "\r\n452 4.3.1 ") || len(q.messages()) != 1 {
		t.Errorf("%d messages; %q", len(q.messages()), got)
	}
}

// TestACutTransferIsNoMessage ends the connection at every octet.
func TestACutTransferIsNoMessage(t *testing.T) {
	srv, q := newServer(t)
	addr := serve(t, srv)
	for _, whole := range []string{
		"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\na\r\n.\r\n",
		"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hamburger.edu>\r\nBDAT 4 LAST\r\nab\r\n",
	} {
		for cut := range len(whole) {
			say(t, addr, whole[:cut])
		}
		if n := len(q.messages()); n != 0 {
			t.Fatalf("%d messages out of parts of %q", n, whole)
		}
	}
	noFiles(t, srv)
}

// TestTheMessageOfAClientThatIsGone is queued: the end of the content came,
// and whether the client heard the answer cannot be known (RFC 1047).
func TestTheMessageOfAClientThatIsGone(t *testing.T) {
	srv, q := newServer(t)
	came, gone := make(chan struct{}), make(chan struct{})
	srv.Policy = policyFunc(func(context.Context, *mail.Transaction) (mail.Verdict, error) {
		close(came)
		<-gone
		return mail.Accept, nil
	})
	conn, err := net.Dial("tcp", serve(t, srv))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\na\r\n.\r\n")
	<-came
	conn.Close()
	close(gone)
	if err := srv.Shutdown(t.Context()); err != nil || len(q.messages()) != 1 {
		t.Errorf("%d messages, %v", len(q.messages()), err)
	}
}

func TestEnvelope(t *testing.T) {
	srv, q := newServer(t)
	say(t, serve(t, srv), "EHLO crepes.fr\r\n"+
		"MAIL FROM:<alice@crepes.fr> BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=Q+2B1\r\n"+
		"RCPT TO:<bob@hamburger.edu> NOTIFY=SUCCESS,DELAY ORCPT=RFC822;Bob+2Btag@hamburger.edu\r\n"+
		"RCPT TO:<list1@hamburger.edu> NOTIFY=NEVER\r\n"+
		"RCPT TO:<bob@HAMBURGER.edu>\r\n"+ // named before
		"DATA\r\n.\r\nQUIT\r\n")
	got := q.messages()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	bob, list := mail.Path{Local: "bob", Domain: "hamburger.edu"}, mail.Path{Local: "list1", Domain: "hamburger.edu"}
	want := mail.Envelope{
		ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
		Recipients: []mail.Recipient{
			{Path: bob, Original: bob, ORCPT: "rfc822;Bob+tag@hamburger.edu", Notify: mail.NotifySuccess | mail.NotifyDelay},
			{Path: list, Original: list, Notify: mail.NotifyNever},
		},
		Body: mail.Body8Bit, UTF8: true, Ret: "HDRS", EnvID: "Q+1",
	}
	if diff := cmp.Diff(want, got[0].tx.Envelope); diff != "" {
		t.Error(diff)
	}
	if c := got[0].tx.Client; c.Helo != "crepes.fr" || !c.Extended || !c.Addr.Addr().IsLoopback() || !c.Local.IsValid() || c.Listener != mail.ListenerSMTP {
		t.Errorf("client %+v", c)
	}
	if len(got[0].tx.ID) != 16 || got[0].tx.Received.IsZero() {
		t.Errorf("ID %q, received %v", got[0].tx.ID, got[0].tx.Received)
	}
}

func TestQuarantine(t *testing.T) {
	srv, q := newServer(t)
	srv.Policy = policyFunc(func(_ context.Context, tx *mail.Transaction) (mail.Verdict, error) {
		if tx.Envelope.ReversePath.Local == "why" {
			tx.Hold = "too much ketchup"
		}
		return mail.Quarantine, nil
	})
	addr := serve(t, srv)
	for _, from := range []string{"why", "alice"} {
		say(t, addr, "EHLO crepes.fr\r\nMAIL FROM:<"+from+"@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n.\r\nQUIT\r\n")
	}
	got := q.messages()
	if len(got) != 2 || got[0].tx.Hold != "too much ketchup" || got[1].tx.Hold != "quarantined" {
		t.Errorf("got %+v", got)
	}
}
