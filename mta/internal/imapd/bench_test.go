package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fill puts n messages of 4 KB into INBOX, behind the store's back: it is
// quick.
func (s *site) fill(n int) {
	s.t.Helper()
	line := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 2) + "\r\n"
	body := strings.Repeat(line, 4096/len(line)-4)
	dir := filepath.Join(s.dir(), "cur")
	s.append("INBOX", plainMessage)
	for i := range n - 1 {
		text := fmt.Sprintf("From: a%d@example.net\r\nTo: alice@example.org\r\nSubject: Number %d\r\nDate: Sun, 1 Mar 2026 12:00:00 +0000\r\n"+
			"Message-ID: <%d@example.net>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", i, i, i, body)
		flags := ""
		if i%10 > 0 {
			flags = "S"
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("1700%06d.M%d.x,S=%d,W=%d:2,%s", i, i, len(text), len(text), flags)), []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// BenchmarkSession is what clients do in a mailbox of 10,000 messages.
func BenchmarkSession(b *testing.B) {
	s := serve(b, nil)
	s.fill(10_000)
	c := s.client()
	c.ok("SELECT INBOX")
	for _, bm := range []struct{ name, command string }{
		{"SELECT", "SELECT INBOX"},
		{"NOOP", "NOOP"},
		{"FETCH FLAGS UID RFC822.SIZE", "FETCH 1:* (FLAGS UID RFC822.SIZE)"},
		{"FETCH 1000 bodies", "FETCH 1001:2000 BODY.PEEK[]"},
		{"FETCH 1000 ENVELOPE", "FETCH 1001:2000 (ENVELOPE)"},
		{"FETCH 1000 headers", "FETCH 1001:2000 (BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (From To Subject Date)])"},
		{"SEARCH UNSEEN", "SEARCH UNSEEN"},
		{"SEARCH SUBJECT", "SEARCH SUBJECT 777"},
		{"SEARCH BODY", "SEARCH BODY elephant"},
		{"STORE 1000", "STORE 1001:2000 +FLAGS.SILENT (\\Flagged)"},
		{"STORE 1000 back", "STORE 1001:2000 -FLAGS.SILENT (\\Flagged)"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				c.ok("%s", bm.command)
			}
		})
	}
}
