package e2e

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/mail"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/wasmta/wasmta/mta/internal/transcript"
)

// TestTheLecture plays the two transcripts of the lecture that the project
// began with, word for word on the client's side.
func TestTheLecture(t *testing.T) {
	s := Start(t, hamburger(""))
	for range 2 {
		transcript.Run(t, transcript.Dial(t, s.Addr("smtp")), "testdata/lecture-smtp.txt")
	}
	inMailbox(t, s, 2)
	transcript.Run(t, transcript.Dial(t, s.Addr("pop3")), "testdata/lecture-pop3.txt")
	inMailbox(t, s, 0)
}

// TestTwoServers is the lecture's story with the files of
// examples/two-servers: while hamburger.edu is down, the picture stays at
// crepes.fr; once it is up the picture arrives, and is the same to the octet
// over POP3 and over IMAP.
func TestTwoServers(t *testing.T) {
	ports := freePorts(t, 9)
	crepes := Configure(t, exampleFile(t, "crepes.fr.yaml", ports))
	hamburger := Configure(t, exampleFile(t, "hamburger.edu.yaml", ports))
	crepes.Up()

	submit(t, crepes, "alice@crepes.fr", "bob@hamburger.edu", filepath.Join(Root(t), "examples/messages/crepe.eml"))
	e := crepes.Wait("the attempt while hamburger.edu is down", func(e Event) bool { return e.Msg() == "deferred" })
	if got := e.Str("rcpt"); got != "bob@hamburger.edu" {
		t.Errorf("deferred is rcpt %q", got)
	}
	id := e.Str("queue_id")
	if out, _, code := crepes.Command("", "queue", "list"); code != 0 || !strings.Contains(out, id) {
		t.Errorf("mta queue list: code %d, want %s in\n%s", code, id, out)
	}

	hamburger.Up()
	if _, errs, code := crepes.Command("", "queue", "retry", id); code != 0 {
		t.Fatalf("mta queue retry: code %d\n%s", code, errs)
	}
	crepes.Wait("the message to be relayed", func(e Event) bool { return e.Msg() == "relayed" && e.Str("queue_id") == id })
	hamburger.Wait("the message to be delivered", func(e Event) bool { return e.Msg() == "delivered" })

	picture, err := os.ReadFile(filepath.Join(Root(t), "examples/messages/crepe.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	byPOP3 := popRetrieve(t, hamburger.Addr("pop3"), "bob@hamburger.edu", 1)
	byIMAP := imapFetch(t, hamburger.Addr("imap"), "bob@hamburger.edu")
	if !bytes.Equal(byPOP3, byIMAP) {
		t.Errorf("POP3 and IMAP differ:\n%.2000s\n---\n%.2000s", byPOP3, byIMAP)
	}
	msg, err := mail.ReadMessage(bytes.NewReader(byPOP3))
	if err != nil {
		t.Fatal(err)
	}
	if got := msg.Header["Received"]; len(got) != 2 {
		t.Errorf("got %d Received fields, want 2: %q", len(got), got)
	}
	if got := msg.Header.Get("Subject"); got != "Picture of yummy crepe." {
		t.Errorf("subject is %q", got)
	}
	decoded, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, msg.Body))
	if err != nil || !bytes.Equal(decoded, picture) {
		t.Errorf("the picture changed on its way (%v): %d octets, want %d", err, len(decoded), len(picture))
	}
}

// exampleFile returns a file of examples/two-servers with its ports replaced
// by free ones and its plugin paths made absolute.
func exampleFile(t *testing.T, name string, ports []string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), "examples/two-servers", name))
	if err != nil {
		t.Fatal(err)
	}
	yaml := strings.ReplaceAll(string(text), "../../plugins", "ROOT/plugins")
	for i, port := range []string{"2525", "2526", "2587", "2588", "2110", "2111", "2143", "2144", "8025"} {
		yaml = strings.ReplaceAll(yaml, "127.0.0.1:"+port, "127.0.0.1:"+ports[i])
	}
	return yaml
}

// freePorts returns ports of loopback that nothing listens on.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // after all are chosen, so that they differ
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// submit sends a file as an authenticated user does.
func submit(t *testing.T, s *Server, from, to, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	auth := smtp.PlainAuth("", from, "ketchup", "127.0.0.1")
	if err := smtp.SendMail(s.Addr("submission"), auth, from, []string{to}, content); err != nil {
		t.Fatalf("submit: %v", err)
	}
}

// popRetrieve fetches message n over POP3.
func popRetrieve(t *testing.T, addr, account string, n int) []byte {
	t.Helper()
	c := popLogin(t, addr, account)
	defer c.Close()
	c.cmd("RETR %d", n)
	content := c.multiline()
	c.cmd("QUIT")
	return content
}

// imapFetch fetches the whole of the first message of INBOX over IMAP.
func imapFetch(t *testing.T, addr, account string) []byte {
	t.Helper()
	c, err := imapclient.DialInsecure(addr, &imapclient.Options{TLSConfig: &tls.Config{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login(account, "ketchup").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	section := &imap.FetchItemBodySection{Peek: true}
	messages, err := c.Fetch(imap.SeqSetNum(1), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil || len(messages) != 1 {
		t.Fatalf("fetch: %d messages, %v", len(messages), err)
	}
	return messages[0].FindBodySection(section)
}

// inMailbox waits until bob's INBOX has n messages.
func inMailbox(t *testing.T, s *Server, n int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	got := -1
	for time.Now().Before(deadline) {
		c := popLogin(t, s.Addr("pop3"), "bob@hamburger.edu")
		fmt.Sscanf(c.cmd("STAT"), "+OK %d", &got)
		c.cmd("QUIT")
		c.Close()
		if got == n {
			return
		}
		time.Sleep(20 * time.Millisecond) // between two questions; nothing is concluded from it
	}
	t.Fatalf("bob has %d messages, want %d", got, n)
}
