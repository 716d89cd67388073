package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamagedContentIsNotDelivered changes an octet of messages that wait in the
// queue: one that has a file of its own, and one in the log; each for a mailbox and
// for a next hop. Nobody gets anything of them, and the log of the server says
// which they are and what is wrong.
func TestDamagedContentIsNotDelivered(t *testing.T) {
	sink := startSink(t)
	s := Start(t, plain(t, "relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://"+sink.addr+"\"}}\nqueue: {retry: {first: 1s, factor: 1, max: 1s}}\n"))
	if out, errs, code := s.Command("", "queue", "rule", "add", "all", "--from", "carol@crepes.fr"); code != 0 {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	c := smtpDial(t, s.Addr("smtp"))
	c.say(250, "EHLO client.example")
	for _, to := range []string{"bob@hamburger.edu", "dave@relay.example"} {
		for _, lines := range []int{100, 20_000} {
			c.say(250, "MAIL FROM:<carol@crepes.fr>")
			c.say(250, "RCPT TO:<%s>", to)
			c.say(354, "DATA")
			c.say(250, "Subject: x\r\n\r\n%s.", strings.Repeat("pickles and ketchup\r\n", lines))
		}
	}
	s.Stop()
	damaged := 0
	err := filepath.WalkDir(filepath.Join(s.Dir, "var", "queue"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !strings.Contains(string(b), "pickles and ketchup") {
			return nil
		}
		damaged++
		return os.WriteFile(path, []byte(strings.ReplaceAll(string(b), "pickles and ketchup", "pickles but ketchup")), 0o600)
	})
	if err != nil || damaged != 3 {
		t.Fatalf("%d files were damaged: %v", damaged, err)
	}
	s.Up()
	if out, errs, code := s.Command("", "queue", "rule", "remove", "all", "--release"); code != 0 {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	held := map[string]bool{}
	s.Wait("4 are held", func(e Event) bool {
		if e.Msg() == "held" && strings.Contains(e.Str("reason"), "checksum") {
			held[e.Str("queue_id")] = true
		}
		return len(held) == 4
	})
	if got := sink.counts(); len(got) != 0 {
		t.Errorf("the next hop got %v", got)
	}
	found, err := filepath.Glob(filepath.Join(s.Dir, "var/mail/bob@hamburger.edu/*/*"))
	if err != nil || len(found) != 0 {
		t.Errorf("in the mailbox: %v, %v", found, err)
	}
}
