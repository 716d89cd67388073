package e2e

import (
	"fmt"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// inbound has one stage, the plugin in testdata/inbound.
func inbound() string {
	yaml := `hostname: hamburger.edu
state: var
listen:
  smtp: [127.0.0.1:0]
  lmtp: [127.0.0.1:0]
domains:
  hamburger.edu: {deliver: mailbox}
plugins:
  inbound: ROOT/mta/internal/e2e/testdata/inbound
pipeline:
  - plugin: inbound
    grant: [headers, body, envelope, send]
accounts:
`
	for _, who := range []string{"bob", "copy", "copycat", "never", "later", "stranger"} {
		yaml += "  " + who + "@hamburger.edu: {password: " + demoPassword + "}\n"
	}
	return yaml
}

// deliver sends a message from bob, and returns the replies to its RCPTs and to
// its end: over LMTP one for each recipient that was taken.
func (c *smtpClient) deliver(lmtp bool, to ...string) (rcpts, end []string) {
	c.t.Helper()
	reply := func() string {
		code, text, err := c.text.ReadResponse(0)
		if err != nil && code == 0 {
			c.t.Fatal(err)
		}
		return fmt.Sprint(code, " ", text)
	}
	c.say(250, "MAIL FROM:<bob@hamburger.edu>")
	copies := 0
	for _, rcpt := range to {
		if err := c.text.PrintfLine("RCPT TO:<%s@hamburger.edu>", rcpt); err != nil {
			c.t.Fatal(err)
		}
		r := reply()
		rcpts = append(rcpts, r)
		if strings.HasPrefix(r, "250") {
			copies++
		}
	}
	c.say(354, "DATA")
	if err := c.text.PrintfLine("From: bob@hamburger.edu\r\nSubject: pickles\r\n\r\nHow about them?\r\n."); err != nil {
		c.t.Fatal(err)
	}
	if !lmtp {
		copies = 1
	}
	for range copies {
		end = append(end, reply())
	}
	return rcpts, end
}

// mailbox waits until an account has so many messages, and returns them.
func (s *Server) mailbox(account string, n int) (messages []string) {
	s.t.Helper()
	await(s.t, fmt.Sprint(n, " messages of ", account), func() bool {
		files, err := filepath.Glob(filepath.Join(s.Dir, "var/mail", account+"@hamburger.edu", "new", "*"))
		if err != nil {
			s.t.Fatal(err)
		}
		messages = nil
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				s.t.Fatal(err)
			}
			messages = append(messages, string(content))
		}
		return len(messages) >= n
	})
	if len(messages) != n {
		s.t.Fatalf("%s has %d messages, want %d: %q", account, len(messages), n, messages)
	}
	return messages
}

// one is the message of those that has a text in it.
func one(t *testing.T, messages []string, with string) string {
	t.Helper()
	for _, m := range messages {
		if strings.Contains(m, with) {
			return m
		}
	}
	t.Errorf("no message has %q in %q", with, messages)
	return ""
}

// TestPluginOnTheWayIn holds what a plugin can do before a message is taken: it
// refuses at RCPT, refuses one of several at the end, gives one a content of
// its own, and sends a message of its own.
func TestPluginOnTheWayIn(t *testing.T) {
	testpeer.NeedCompiler(t, "c")
	s := Start(t, inbound())
	c := smtpDial(t, s.Addr("smtp"))

	// One that is to be tried again: nothing is taken for anybody.
	rcpts, end := c.deliver(false, "stranger", "copy", "later", "never")
	if !strings.HasPrefix(rcpts[0], "551 5.1.6 Strangers have moved") {
		t.Errorf("RCPT of a stranger: %q", rcpts)
	}
	if !strings.HasPrefix(end[0], "452 4.2.2 Later for this one") {
		t.Errorf("end of a message with one for later: %q", end)
	}

	// One that is refused for good: it is returned, the others have it.
	_, end = c.deliver(false, "bob", "copy", "copycat", "never")
	if !strings.HasPrefix(end[0], "250 ") {
		t.Errorf("end of a message with one refused: %q", end)
	}
	bob := s.mailbox("bob", 3)
	original := one(t, bob, "Subject: pickles\r\n\r\nHow about")
	if !strings.Contains(original, "X-Met: at helo\r\n") || strings.Contains(original, "X-Copy") {
		t.Errorf("bob has %q", original)
	}
	if m := one(t, bob, "for your message"); !strings.Contains(m, "Auto-Submitted: auto-replied\r\n") || !strings.Contains(m, "(stage inbound)") {
		t.Errorf("the plugin sent %q", m)
	}
	if m := one(t, bob, "Diagnostic-Code:"); !strings.Contains(m, "Never for this one") || !strings.Contains(m, "never@hamburger.edu") {
		t.Errorf("the DSN is %q", m)
	}
	for _, who := range []string{"copy", "copycat"} {
		if m := s.mailbox(who, 1)[0]; !strings.Contains(m, "X-Met: at helo\r\n") || !strings.Contains(m, "X-Copy: yes\r\n") {
			t.Errorf("%s has %q", who, m)
		}
	}
	s.Wait("what the plugin sent in the log", func(e Event) bool { return e.Msg() == "queued" && e.Str("sent_by") == "inbound" })
	if out, _, code := s.Command("", "queue", "list"); code != 0 || strings.Contains(out, "never") {
		t.Errorf("left in the queue: %q", out)
	}
}

// TestPluginAnswersForEach holds that over LMTP each recipient has its own
// reply, and no DSN beside it.
func TestPluginAnswersForEach(t *testing.T) {
	testpeer.NeedCompiler(t, "c")
	s := Start(t, inbound())
	text, err := textproto.Dial("tcp", s.Addr("lmtp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { text.Close() })
	c := &smtpClient{t, text}
	c.want(220)
	c.say(250, "LHLO client.example")
	_, end := c.deliver(true, "never", "copy", "later", "copycat")
	for i, want := range []string{"550 5.7.1 Never", "250 2.0.0 Message", "452 4.2.2 Later", "250 2.0.0 Message"} {
		if i >= len(end) || !strings.HasPrefix(end[i], want) {
			t.Fatalf("the replies are %q, want %q at %d", end, want, i)
		}
	}
	s.mailbox("copy", 1)
	s.mailbox("copycat", 1)
	if bob := s.mailbox("bob", 1); !strings.Contains(bob[0], "for your message") {
		t.Errorf("bob has %q, want what the plugin sent and no DSN", bob)
	}
}
