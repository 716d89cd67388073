package e2e

import (
	"fmt"
	"maps"
	"net/smtp"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/emersion/go-imap/v2/imapclient"
)

// attribute is the name of one in a line of the text format.
var attribute = regexp.MustCompile(` ([a-z_]+)=(?:"(?:[^"\\]|\\.)*"|[^ ]*)`)

// TestLogOfTheDocuments lets happen what the log lines of the documents tell
// of, and finds each event with the same attributes.
func TestLogOfTheDocuments(t *testing.T) {
	next := Start(t, stamped("one", bobOnly))
	down := freePorts(t, 1)[0]
	c := newClone(t)
	c.write(t, "plugins/trap/main.go", `package main

import mta "github.com/wasmta/wasmta/sdk/go"

func init() {
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		if m.Header().Get("Subject") == "trap" {
			panic("no such thing")
		}
		mta.Info("seen", "subject", m.Header().Get("Subject"))
		return mta.Continue
	})
}

func main() {}
`)
	s := Start(t, `hostname: crepes.fr
listen: {smtp: [127.0.0.1:0], submission: [127.0.0.1:0], pop3: [127.0.0.1:0], imap: [127.0.0.1:0]}
domains: {crepes.fr: {deliver: mailbox}}
accounts: {bob@crepes.fr: {password: `+demoPassword+`}}
relay: {allow: [127.0.0.0/8], routes: {hamburger.edu: "smtp://`+next.Addr("smtp")+`", "*": "smtp://127.0.0.1:`+down+`"}}
plugins: {trap: `+c.dir+`/plugins/trap, route: ROOT/plugins/route}
pipeline:
  - plugin: trap
  - plugin: route
    config:
      rules:
        - {if: {header: {Subject: buy}}, reject: We do not buy}
        - {if: {header: {Subject: noise}}, discard: true}
        - {if: {header: {Subject: lottery}}, quarantine: smells of a lottery}
`)
	mail := smtpDial(t, s.Addr("smtp"))
	for subject, code := range map[string]int{"pickles": 250, "lottery": 250, "buy": 550, "noise": 250, "trap": 451} {
		mail.say(250, "MAIL FROM:<alice@pizza.it>")
		mail.say(250, "RCPT TO:<bob@crepes.fr>")
		mail.say(354, "DATA")
		mail.say(code, "Subject: %s\r\n\r\nHow about pickles?\r\n.", subject)
	}
	mail.send("bob@crepes.fr", "alice@pizza.it", "deferred")
	mail.send("bob@crepes.fr", "bob@hamburger.edu", "relayed")
	mail.send("bob@crepes.fr", "nobody@hamburger.edu", "bounced")
	mail.say(250, "MAIL FROM:<alice@pizza.it>")
	mail.say(550, "RCPT TO:<nobody@crepes.fr>")
	auth := smtp.PlainAuth("", "bob@crepes.fr", "ketchup", "127.0.0.1")
	if err := smtp.SendMail(s.Addr("submission"), auth, "bob@crepes.fr", []string{"bob@crepes.fr"}, []byte("Subject: mine\r\n\r\nHi\r\n")); err != nil {
		t.Fatal(err)
	}
	for _, outcome := range []string{"deferred", "relayed", "bounced"} {
		s.times(outcome, 1)
	}
	if _, errs, code := s.Command("", "queue", "retry", "--state", "held"); code != 0 {
		t.Errorf("retry: %s", errs)
	}
	popLogin(t, s.Addr("pop3"), "bob@crepes.fr").cmd("QUIT")
	reader, err := imapclient.DialInsecure(s.Addr("imap"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := reader.Login("bob@crepes.fr", "mustard").Wait(); err == nil {
		t.Error("a wrong password is right")
	}
	s.Signal(syscall.SIGHUP)
	s.times("reloaded", 1)
	s.Rewrite("nothing: here\n")
	s.Signal(syscall.SIGHUP)
	s.times("reload failed, the old pipeline stays", 1)
	s.times("session ended", 1)
	s.Stop()

	seen := map[string]bool{}
	for _, e := range s.Events() {
		seen[shape(e.Msg(), slices.Collect(maps.Keys(e)))] = true
	}
	for _, want := range []string{"relayed", "bounced"} {
		like := strings.Replace(documented(t, "delivered"), "delivered:", want+":", 1)
		if !seen[like] && !seen[strings.Replace(like, " delay", " delay err", 1)] {
			t.Errorf("%s does not look like delivered", want)
		}
	}
	n := 0
	for _, b := range blocks(t) {
		if b.lang != "log" {
			continue
		}
		for line := range strings.Lines(b.text) {
			n++
			if got := shapeOf(line); !seen[got] {
				t.Errorf("%v: no event is like\n%s%s\nthere are\n%s", b, line, got, strings.Join(slices.Sorted(maps.Keys(seen)), "\n"))
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d lines were found", n)
	}
}

// shape is an event with the names of its attributes.
func shape(msg string, names []string) string {
	slices.Sort(names)
	return fmt.Sprintf("%s: %s", msg, strings.Join(names, " "))
}

// shapeOf is the shape of a line of the text format.
func shapeOf(line string) string {
	var msg string
	var names []string
	for _, m := range attribute.FindAllStringSubmatch(" "+strings.TrimSpace(line), -1) {
		names = append(names, m[1])
		if m[1] == "msg" {
			_, msg, _ = strings.Cut(m[0], "=")
			msg = strings.Trim(msg, `"`)
		}
	}
	return shape(msg, names)
}

// documented is the shape of the first line about an event in the documents.
func documented(t testing.TB, msg string) string {
	t.Helper()
	for _, b := range blocks(t) {
		for line := range strings.Lines(b.text) {
			if b.lang == "log" && strings.HasPrefix(shapeOf(line), msg+": ") {
				return shapeOf(line)
			}
		}
	}
	t.Fatalf("no line about %s", msg)
	return ""
}
