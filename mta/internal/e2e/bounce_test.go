package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestDoubleBounce sends a message that can neither be delivered nor returned: it
// comes to the postmaster, and where there is none it is held.
func TestDoubleBounce(t *testing.T) {
	routes := fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://%s\"}}\n", startMoody(t))
	s := Start(t, strings.Replace(plain(t, routes), "{deliver: mailbox}", "{deliver: mailbox, postmaster: bob@hamburger.edu}", 1))
	smtpDial(t, s.Addr("smtp")).send("gone@crepes.fr", "gone@relay.example", "pickles")
	got := s.files("bob", "")
	for _, want := range []string{
		"Return-Path: <>\r\n", "Delivered-To: postmaster@hamburger.edu\r\n", "To: <postmaster@hamburger.edu>\r\n",
		"This is for the postmaster.", "Final-Recipient: rfc822; gone@crepes.fr\r\n", "Final-Recipient: rfc822; gone@relay.example\r\n", "How about pickles?",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
	s.Stop()

	s = Start(t, strings.Replace(plain(t, routes), "domains:", "postmaster: gone@elsewhere.example\ndomains:", 1))
	smtpDial(t, s.Addr("smtp")).send("gone@crepes.fr", "gone@relay.example", "pickles")
	e := s.times("held", 1)
	if reason := e.Str("reason"); e.Str("rcpt") != "gone@elsewhere.example" || !strings.Contains(reason, "for the postmaster") || !strings.Contains(reason, "550") {
		t.Errorf("%v", e)
	}
}
