package imapd

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What a client does wrong costs it the command, or the session where go-imap
// has read the first half; never does the rest of it run.
func TestGate(t *testing.T) {
	run := "x LOGOUT\r\n"
	for _, tt := range []struct {
		name, says string
		want       []string
		gone       bool
	}{
		{"a line that is too long", "a LOGIN " + strings.Repeat("a", 60_000) + "\r\n", []string{"a BAD [CLIENTBUG] Line is too long"}, false},
		{"a long line that commands follow", "a NOOP " + strings.Repeat("a", 60_000) + "\r\nb NOOP\r\n",
			[]string{"a BAD [CLIENTBUG] Line is too long", "b OK NOOP completed"}, false},
		{"a line that is not too long", "a NOOP " + strings.Repeat("a", 48_000) + "\r\n", []string{`a BAD [CLIENTBUG] Syntax error: expected CRLF, got "a"`}, false},
		{"commands in a row", "a NOOP\r\nb NOOP\r\nc NOOP\r\n", []string{"a OK NOOP completed", "b OK NOOP completed", "c OK NOOP completed"}, false},
		{"the second literal is too large", "a LOGIN {5+}\r\nalice {5000+}\r\n" + strings.Repeat(run, 500), []string{"* BYE [TOOBIG] Literal is too large"}, true},
		{"quotes that do not end, after a literal", "a LOGIN {5+}\r\nalice \"ketch\r\n" + run, []string{"* BYE Malformed line after a literal"}, true},
		{"a long line in AUTHENTICATE", "a AUTHENTICATE PLAIN\r\n" + strings.Repeat("A", 8000) + "\r\n" + run, []string{"+ ", "* BYE Line is too long"}, true},
		{"a literal in a command that is none", "a ID {10+}\r\n" + run + " NIL\r\n", []string{"a BAD Unknown command", "* BYE Unknown command"}, true},
		{"a message before login", "a APPEND INBOX {5000+}\r\n" + strings.Repeat(run, 500) + "\r\nb NOOP\r\n",
			[]string{"a NO [TOOBIG] Literal is too large", "b OK NOOP completed"}, false},
		{"a small one before login", "a APPEND INBOX {10+}\r\n" + run + "\r\nb NOOP\r\n",
			[]string{"a BAD [CLIENTBUG] This command is only valid in the authenticated state", "b OK NOOP completed"}, false},
		{"a literal of no size that there is", "a LOGIN {99999999999999999999}\r\n", []string{"a NO [TOOBIG] Literal is too large"}, false},
		{"braces in a quoted string", "a LOGIN \"{5+}\" x\r\n", []string{"a NO [AUTHENTICATIONFAILED] Authentication failed"}, false},
		{"a tag that is too long", strings.Repeat("a", 101) + " NOOP\r\n", []string{"* BAD [CLIENTBUG] Expected a tag and a command"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, nil)
			c := &client{t: t, conn: s.dial()}
			c.in = bufio.NewReader(c.conn)
			c.line()
			c.write(tt.says)
			c.expect(tt.want...)
			if tt.gone {
				c.gone()
				return
			}
			_, tagged := c.do("NOOP")
			equal(t, "after it", []string{tagged}, "OK NOOP completed")
		})
	}
}

// A client that says nothing is sent away, and so is one that does not read.
func TestSilentClients(t *testing.T) {
	for _, tt := range []struct {
		name, says string
		after      time.Duration
		want       string
	}{
		{"before login", "", 30 * time.Second, "* BYE Waited too long\r\n"},
		{"in the middle of a line", "a LOG", 30 * time.Second, "* BYE Waited too long\r\n"},
		{"in AUTHENTICATE", "a AUTHENTICATE PLAIN\r\n", 30 * time.Second, "+ \r\n* BYE Waited too long\r\n"},
		{"in a literal", "a LOGIN {5}\r\n", 2 * time.Minute, "+ Ready for literal data\r\n* BYE Waited too long\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &Server{Accounts: accounts{}, Log: discard, Limits: Limits{}}
				s.once.Do(s.init)
				near, far := net.Pipe()
				start := time.Now()
				if !s.feeds[local].put(newGate(far, &s.Limits)) {
					t.Fatal("not served")
				}
				in := bufio.NewReader(near)
				if _, err := in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				fmt.Fprint(near, tt.says)
				var heard strings.Builder
				if _, err := in.WriteTo(&heard); err != nil {
					t.Fatal(err)
				}
				if heard.String() != tt.want || time.Since(start) != tt.after {
					t.Errorf("heard %q after %v, want %q after %v", heard.String(), time.Since(start), tt.want, tt.after)
				}
				near.Close()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
