package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// notifying is a server that relays by the DNS of a world, and warns early.
const notifying = `hostname: hamburger.edu
state: var
listen:
  smtp: [127.0.0.1:0]
domains:
  hamburger.edu: {deliver: mailbox}
accounts:
  bob@hamburger.edu: {password: PASSWORD}
relay:
  allow: [127.0.0.0/8]
  dns: DNS
queue:
  retry: {first: 1s, factor: 1, max: 1s}
  warn_after: 2s
`

// aNotice is a case of TestNotifications: a message, and what its sender hears.
type aNotice struct {
	id    string // ENVID; it names the case
	from  string // empty: alice@home.example
	mail  string // what MAIL says more
	to    string
	rcpt  string // what RCPT says more
	event string // what becomes of the recipient
	says  string // action, status and address, as a reader sees them; empty: nothing is said
	perl  string // the same where another reader sees it otherwise
	has   []string
	lacks []string
}

var notices = []aNotice{
	{id: "delivered", to: "bob@hamburger.edu", rcpt: "NOTIFY=SUCCESS", event: "delivered", says: "delivered 2.1.5 bob@hamburger.edu", lacks: []string{"How about them?"}},
	{id: "relayed", to: "bob@old.example", rcpt: "NOTIFY=SUCCESS,FAILURE", event: "relayed", says: "relayed 2.0.0 bob@old.example", has: []string{"Remote-MTA: dns; mx.old.example"}},
	{id: "passed", mail: "RET=HDRS", to: "bob@dsn.example", rcpt: "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2B1@first.example", event: "relayed"},
	{id: "failed", to: "gone@old.example", event: "bounced", says: "failed 5.1.1 gone@old.example",
		has: []string{"Diagnostic-Code: smtp; 550 5.1.1 Gone away", "How about them?", "Reporting-MTA: dns; hamburger.edu"}},
	{id: "headers", mail: "RET=HDRS", to: "gone@dsn.example", rcpt: "NOTIFY=FAILURE ORCPT=rfc822;gone@first.example", event: "bounced",
		says: "failed 5.1.1 gone@dsn.example", perl: "failed 5.1.1 gone@first.example",
		has: []string{"Original-Recipient: rfc822; gone@first.example", "Subject: pickles", "text/rfc822-headers"}, lacks: []string{"How about them?"}},
	{id: "whole", mail: "RET=FULL", to: "gone@dsn.example", rcpt: "NOTIFY=FAILURE,DELAY", event: "bounced", says: "failed 5.1.1 gone@dsn.example", has: []string{"How about them?", "message/rfc822"}},
	{id: "never", to: "gone@dsn.example", rcpt: "NOTIFY=NEVER", event: "bounced"},
	{id: "success", to: "gone@dsn.example", rcpt: "NOTIFY=SUCCESS", event: "bounced"},
	{id: "delayed", to: "busy@dsn.example", rcpt: "NOTIFY=DELAY", event: "deferred", says: "delayed 4.2.0 busy@dsn.example", has: []string{"Will-Retry-Until: "}},
	{id: "patient", to: "busy@dsn.example", rcpt: "NOTIFY=FAILURE", event: "deferred"},
	{id: "utf8", from: "jürgen@home.example", mail: "SMTPUTF8", to: "gone@dsn.example", event: "bounced", says: "failed 5.1.1 gone@dsn.example", has: []string{"message/global-delivery-status"}},
}

// TestNotifications asks for notifications in all ways, and has what the senders
// get over the wire read by two programs.
func TestNotifications(t *testing.T) {
	w := newWorld(t)
	utf8 := func(srv *gosmtp.Server) { srv.EnableSMTPUTF8 = true }
	w.host("1", utf8)
	w.host("2", func(srv *gosmtp.Server) { srv.EnableDSN = false })
	w.host("3", utf8)
	w.zone("dsn.example. MX 1 mx.dsn.example.\nmx.dsn.example. A $1\nold.example. MX 1 mx.old.example.\nmx.old.example. A $2\nhome.example. MX 1 mx.home.example.\nmx.home.example. A $3\n")
	s := Start(t, strings.NewReplacer("PASSWORD", demoPassword, "DNS", w.dns.Addr).Replace(notifying))
	ids := map[string]string{} // queue IDs by case
	c := smtpDial(t, s.Addr("smtp"))
	for i := range notices {
		ids[notices[i].id] = notices[i].send(c)
	}
	for _, n := range notices {
		s.Wait(n.id+" "+n.event, func(e Event) bool { return e.Msg() == n.event && e.Str("queue_id") == ids[n.id] })
		if n.says != "" {
			await(t, "the notification of "+n.id, func() bool { return len(w.about(n)) > 0 })
		}
	}
	tries := 0
	s.Wait("more attempts than warnings need", func(e Event) bool {
		if e.Msg() == "deferred" && e.Str("queue_id") == ids["patient"] {
			tries++
		}
		return tries == 5
	})
	s.Stop()
	for _, e := range s.Events() {
		for _, n := range notices {
			if n.says == "" && e.Str("dsn_of") == ids[n.id] {
				t.Errorf("%s: %v", n.id, e)
			}
		}
	}
	passedOn(t, w)
	dir := t.TempDir()
	for _, n := range notices {
		if n.says != "" {
			n.check(t, dir, w.about(n))
		}
	}
}

func (n *aNotice) sender() string {
	if n.from == "" {
		return "alice@home.example"
	}
	return n.from
}

// send sends the message, and returns its queue ID.
func (n *aNotice) send(c *smtpClient) string {
	c.t.Helper()
	c.say(250, "MAIL FROM:<%s> ENVID=%s %s", n.sender(), n.id, n.mail)
	c.say(250, "RCPT TO:<%s> %s", n.to, n.rcpt)
	c.say(354, "DATA")
	text := c.say(250, "From: <%s>\r\nMessage-ID: <%s@home.example>\r\nSubject: pickles\r\n\r\nHow about them?\r\n.", n.sender(), n.id)
	words := strings.Fields(text)
	return words[len(words)-1]
}

// about is what the sender of n got about it.
func (w *world) about(n aNotice) (found []arrived) {
	for _, a := range w.arrivedAt(n.sender()) {
		if strings.Contains(a.content, "\r\nOriginal-Envelope-Id: "+n.id+"\r\n") {
			found = append(found, a)
		}
	}
	return found
}

// passedOn looks at what a next hop with DSN was told.
func passedOn(t *testing.T, w *world) {
	t.Helper()
	got := w.arrivedAt("bob@dsn.example")
	if len(got) != 1 {
		t.Fatalf("arrived: %+v", got)
	}
	a, r := got[0], got[0].rcpts[0]
	notify := []gosmtp.DSNNotify{gosmtp.DSNNotifySuccess, gosmtp.DSNNotifyDelayed}
	slices.Sort(r.Notify)
	slices.Sort(notify)
	if a.options.EnvelopeID != "passed" || a.options.Return != gosmtp.DSNReturnHeaders || !slices.Equal(r.Notify, notify) || r.OriginalRecipient != "Bob+1@first.example" {
		t.Errorf("the next hop was told %+v and %+v", a.options, r)
	}
}

// check looks at the notification, and has it read.
func (n *aNotice) check(t *testing.T, dir string, got []arrived) {
	t.Helper()
	if len(got) != 1 {
		t.Errorf("%s: %d notifications: %+v", n.id, len(got), got)
		return
	}
	a := got[0]
	if a.from != "" || a.options.UTF8 != strings.Contains(n.mail, "SMTPUTF8") || a.options.EnvelopeID != "" {
		t.Errorf("%s: it came from <%s> with %+v", n.id, a.from, a.options)
	}
	for _, want := range n.has {
		if !strings.Contains(a.content, want) {
			t.Errorf("%s lacks %q:\n%s", n.id, want, a.content)
		}
	}
	for _, bad := range n.lacks {
		if strings.Contains(a.content, bad) {
			t.Errorf("%s has %q:\n%s", n.id, bad, a.content)
		}
	}
	file := filepath.Join(dir, n.id)
	if err := os.WriteFile(file, []byte(a.content), 0o600); err != nil {
		t.Fatal(err)
	}
	n.read(t, file)
}

// read has Python's email package and Perl's Mail::DeliveryStatus::BounceParser
// read the notification, the latter what it knows of.
func (n *aNotice) read(t *testing.T, file string) {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's, which has Debian's modules
	testpeer.NeedFile(t, python, "python3")
	testpeer.NeedFile(t, "/usr/lib/python3/dist-packages/flufl/bounce/__init__.py", "python3-flufl.bounce")
	scripts := filepath.Join(Root(t), "mta/internal/dsn/testdata")
	if said := command(t, t.TempDir(), python, filepath.Join(scripts, "read.py"), file); !strings.Contains(said, file+" email "+n.says+"\n") || strings.Count(said, " email ") != 1 {
		t.Errorf("%s: Python reads %q, want %q", n.id, said, n.says)
	}
	if n.id == "utf8" { // RFC 6533 is not known to it
		return
	}
	perl := testpeer.Need(t, "perl", "perl")
	testpeer.NeedFile(t, "/usr/share/perl5/Mail/DeliveryStatus/BounceParser.pm", "libmail-deliverystatus-bounceparser-perl")
	want := file + " bounce no <" + n.id + "@home.example>\n"
	if strings.HasPrefix(n.says, "failed ") {
		says := n.says
		if n.perl != "" {
			says = n.perl
		}
		want = file + " bounce yes <" + n.id + "@home.example>\n" + file + " report " + says + "\n"
	}
	said := command(t, t.TempDir(), perl, filepath.Join(scripts, "read.pl"), file)
	if said = strings.ReplaceAll(said, "\n\n", "\n"); said != want { // a Message-ID is printed with its line's end
		t.Errorf("%s: Perl reads %q, want %q", n.id, said, want)
	}
}
