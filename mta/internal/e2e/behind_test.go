package e2e

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
)

// moody is a next hop that is busy the first time, and knows of no gone.
type moody struct{ asked atomic.Int32 }

// NewSession implements gosmtp.Backend.
func (m *moody) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return moodySession{m}, nil }

type moodySession struct{ *moody }

func (s moodySession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (s moodySession) Reset()                                 {}
func (s moodySession) Logout() error                          { return nil }

func (s moodySession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "gone@"):
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "Gone away"}
	case s.asked.Add(1) == 1:
		return &gosmtp.SMTPError{Code: 450, EnhancedCode: gosmtp.EnhancedCode{4, 2, 0}, Message: "Busy"}
	}
	return nil
}

func (s moodySession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func startMoody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := gosmtp.NewServer(&moody{})
	srv.Domain, srv.ErrorLog = "moody.example", discardLog{}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

func startDNS(t *testing.T) string {
	t.Helper()
	srv, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{
		"policy.example.com.": {TXT: []string{"be kind"}},
	}, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return srv.LocalAddr().String()
}

// metric is the value of a metric, as /metrics has it.
func (s *Server) metric(name string) string {
	s.t.Helper()
	resp, err := http.Get("http://" + s.Addr("http") + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// files waits for a message in a folder and returns it.
func (s *Server) files(account, folder string) string {
	s.t.Helper()
	var content []byte
	await(s.t, "a message of "+account+" in "+folder, func() bool {
		names, err := filepath.Glob(filepath.Join(s.Dir, "var/mail", account+"@hamburger.edu", folder, "new", "*"))
		if err != nil {
			s.t.Fatal(err)
		}
		if len(names) == 0 {
			return false
		}
		content, err = os.ReadFile(names[0])
		return err == nil
	})
	return string(content)
}

// TestPluginBehindTheQueue holds what a plugin can do once a message is safe,
// and that it remembers over a restart.
func TestPluginBehindTheQueue(t *testing.T) {
	s := Start(t, fmt.Sprintf(`hostname: hamburger.edu
state: var
listen:
  smtp: [127.0.0.1:0]
  http: [127.0.0.1:0]
domains:
  hamburger.edu: {deliver: mailbox}
accounts:
  bob@hamburger.edu: {password: %s}
  alice@hamburger.edu: {password: %s}
relay:
  allow: [127.0.0.0/8]
  dns: %q
  routes: {"*": "smtp://%s"}
queue:
  retry: {first: 1h, factor: 2, max: 4h}
plugins:
  behind: ROOT/mta/internal/e2e/testdata/behind
pipeline:
  - plugin: behind
    after: queue
    grant: [headers, body, envelope, route, kv, dns, clock]
`, demoPassword, demoPassword, startDNS(t), startMoody(t)))

	all := []string{"bob@hamburger.edu", "busy@example.org", "gone@example.org", "stopped@example.org"}
	c := smtpDial(t, s.Addr("smtp"))
	c.say(250, "MAIL FROM:<alice@hamburger.edu>")
	for _, to := range all {
		c.say(450, "RCPT TO:<%s>", to)
	}
	c.say(221, "QUIT")
	if got := s.metric(`mta_plugin_count_total{name="greylisted",stage="behind"}`); got != "4" {
		t.Errorf("%s were greylisted", got)
	}
	s.Stop()
	s.Up()

	c = smtpDial(t, s.Addr("smtp"))
	c.say(250, "MAIL FROM:<alice@hamburger.edu>")
	for _, to := range all {
		c.say(250, "RCPT TO:<%s>", to)
	}
	c.say(354, "DATA")
	c.say(250, "From: alice@hamburger.edu\r\nSubject: pickles\r\n\r\nHow about them?\r\n.")

	filed := s.files("bob", ".Filed")
	if strings.Count(filed, "X-Reviewed: be kind\r\n") != 1 {
		t.Errorf("bob has %q", filed)
	}
	for _, want := range []string{
		"rcpt=bob@hamburger.edu status=delivered",
		`rcpt=busy@example.org status=deferred reply="450 4.2.0 Busy"`,
		`rcpt=gone@example.org status=bounced reply="550 5.1.1 Gone away"`,
		`rcpt=stopped@example.org status=bounced reply="550 5.7.1 Stopped on the way"`,
		"rcpt=busy@example.org status=relayed",
	} {
		s.Wait(want, func(e Event) bool { return e.Msg() == "plugin log" && strings.Contains(e.Str("text"), want) })
	}
	dsn := s.files("alice", "")
	for _, want := range []string{"X-Help: https://hamburger.edu/bounces\r\n", "Gone away", "Stopped on the way"} {
		if !strings.Contains(dsn, want) {
			t.Errorf("the DSN lacks %q: %s", want, dsn)
		}
	}
	if got := s.metric(`mta_plugin_observed_count{name="recipients",stage="behind"}`); got != "1" {
		t.Errorf("it was asked %s times about the message", got)
	}
}
