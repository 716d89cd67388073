package imapd

import (
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// Whatever a client says, the session neither panics nor hangs: when the client
// has closed, it ends.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"a CAPABILITY\r\nb LOGIN alice ketchup\r\nc LIST \"\" *\r\n",
		"b LOGIN {5+}\r\nalice {7+}\r\nketchup\r\nc SELECT INBOX\r\nd FETCH 1:* (FLAGS BODY[1.2.MIME]<0.4> BODYSTRUCTURE ENVELOPE BINARY[1])\r\n",
		"b LOGIN alice ketchup\r\nc SELECT INBOX\r\nd SEARCH OR NOT (SEEN) TEXT {3+}\r\nabc\r\ne STORE 1 +FLAGS (\\Seen k)\r\nf IDLE\r\nDONE\r\n",
		"b LOGIN alice ketchup\r\nc APPEND INBOX (\\Seen) {3+}\r\nabc\r\nd CREATE a/b\r\ne SELECT INBOX\r\nf COPY 1 a/b\r\ng MOVE 1:* a/b\r\nh EXPUNGE\r\n",
		"a AUTHENTICATE PLAIN\r\nAGFsaWNlAGtldGNodXA=\r\nb STATUS INBOX (MESSAGES)\r\nc LSUB \"\" %\r\n",
		"a LOGIN {99999+}\r\n" + strings.Repeat("x", 50) + "\r\n",
		"b LOGIN alice ketchup\r\nc APPEND INBOX {99999999999999999+}\r\nabc",
		"\r\n\r\n* \r\na\r\n\"\r\n", "a LOGIN \"\\\"\r\n", strings.Repeat("a", 50000),
	} {
		f.Add([]byte(seed))
	}
	s := &Server{Accounts: accounts{}, Log: slog.New(panics{}), Limits: Limits{Message: 10000}.withDefaults()}
	s.once.Do(s.init)
	f.Cleanup(func() { s.Shutdown(context.Background()) })
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, octets []byte) {
		store, err := mailbox.Open(root, mailbox.Options{Hostname: "mx.example.org"})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		s.Store = store
		if _, err := store.Append(account, "INBOX", strings.NewReader(mixedMessage), mailbox.Flags{}, arrived); err != nil {
			t.Fatal(err)
		}
		client, server := net.Pipe()
		g := newGate(server, &s.Limits)
		if !s.feeds[local].put(g) {
			t.Fatal("the server is closed")
		}
		go func() {
			client.Write(octets)
			client.Write([]byte("\r\nzz LOGOUT\r\n"))
			g.end("end of the test")
		}()
		client.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, client); err != nil {
			t.Errorf("the session does not end: %v", err)
		}
		client.Close()
		store.Delete(account, "a/b")
	})
}

// LIST's patterns against the plain definition.
func FuzzMatchPattern(f *testing.F) {
	f.Add("Lists/go", "L*o")
	f.Add("Lists/go/nuts", "%/%")
	f.Add("INBOX", "")
	f.Add("aaaaaaaaaaaaaaaa", "*a*a*a%b")
	f.Fuzz(func(t *testing.T, name, pattern string) {
		if len(name) > 12 || len(pattern) > 8 {
			matchPattern(name, pattern)
			return
		}
		if got, want := matchPattern(name, pattern), slowMatch(name, pattern); got != want {
			t.Errorf("%q, %q: %v, want %v", name, pattern, got, want)
		}
	})
}

func slowMatch(name, pattern string) bool {
	if pattern == "" {
		return name == ""
	}
	if c := pattern[0]; c == '*' || c == '%' {
		return slowMatch(name, pattern[1:]) ||
			name != "" && (c == '*' || name[0] != '/') && slowMatch(name[1:], pattern)
	}
	return name != "" && name[0] == pattern[0] && slowMatch(name[1:], pattern[1:])
}
