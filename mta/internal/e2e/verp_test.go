package e2e

import (
	"maps"
	"slices"
	"testing"
)

// TestVERP has the reverse-path of a list name each recipient, and that of nobody
// else.
func TestVERP(t *testing.T) {
	next := startSink(t)
	s := Start(t, plain(t, "relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://"+next.addr+"\"}, verp: [list@crepes.fr]}\n"))
	c := smtpDial(t, s.Addr("smtp"))
	for _, from := range []string{"list@crepes.fr", "alice@crepes.fr"} {
		c.say(250, "MAIL FROM:<%s>", from)
		c.say(250, "RCPT TO:<carol@relay.example>")
		c.say(250, "RCPT TO:<dave@relay.example>")
		c.say(354, "DATA")
		c.say(250, "X-Number: %s\r\n\r\nHow about pickles?\r\n.", from)
	}
	await(t, "four copies", func() bool { return len(next.counts()) == 4 })
	next.mu.Lock()
	defer next.mu.Unlock()
	want := []string{"alice@crepes.fr", "list+carol=relay.example@crepes.fr", "list+dave=relay.example@crepes.fr"}
	if got := slices.Sorted(maps.Keys(next.from)); !slices.Equal(got, want) {
		t.Errorf("reverse-paths %q, want %q", got, want)
	}
}
