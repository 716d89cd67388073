package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"syscall"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A smtpClient says what a test tells it to, word for word.
type smtpClient struct {
	t    testing.TB
	text *textproto.Conn
}

// smtpDial opens a session up to EHLO.
func smtpDial(t testing.TB, addr string) *smtpClient {
	t.Helper()
	text, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { text.Close() })
	c := &smtpClient{t, text}
	c.want(220)
	c.say(250, "EHLO client.example")
	return c
}

// want reads a reply.
func (c *smtpClient) want(code int) string {
	c.t.Helper()
	_, text, err := c.text.ReadResponse(code)
	if err != nil {
		c.t.Fatalf("SMTP: %v, want %d", err, code)
	}
	return text
}

// say sends a line and reads a reply.
func (c *smtpClient) say(code int, format string, args ...any) string {
	c.t.Helper()
	if err := c.text.PrintfLine(format, args...); err != nil {
		c.t.Fatal(err)
	}
	return c.want(code)
}

// send sends a message with that subject.
func (c *smtpClient) send(from, to, subject string) {
	c.t.Helper()
	c.say(250, "MAIL FROM:<%s>", from)
	c.say(250, "RCPT TO:<%s>", to)
	c.say(354, "DATA")
	c.say(250, "From: %s\r\nSubject: %s\r\n\r\nHow about pickles?\r\n.", from, subject)
}

// times waits until an event has come n times since the start.
func (s *Server) times(msg string, n int) Event {
	s.t.Helper()
	seen := map[int]bool{}
	return s.Wait(fmt.Sprintf("%d × %q", n, msg), func(e Event) bool {
		if e.Msg() == msg {
			seen[len(seen)] = true
		}
		return e.Msg() == msg && len(seen) == n
	})
}

// stamped is a file with one stage, and lines of extra.
func stamped(value, extra string) string {
	return `hostname: hamburger.edu
state: var
listen:
  smtp: [127.0.0.1:0]
  pop3: [127.0.0.1:0]
  http: [127.0.0.1:0]
plugins:
  stamp: ROOT/plugins/stamp
pipeline:
  - plugin: stamp
    config: {add: {X-Generation: "` + value + `"}}
` + extra
}

const (
	bobOnly  = "domains:\n  hamburger.edu: {deliver: mailbox}\naccounts:\n  bob@hamburger.edu: {password: " + demoPassword + "}\n"
	andDave  = "domains:\n  hamburger.edu: {deliver: mailbox}\n  pizza.it: {deliver: mailbox}\naccounts:\n  bob@hamburger.edu: {password: " + demoPassword + "}\n  dave@pizza.it: {password: " + demoPassword + "}\n"
	nextMail = "bob@hamburger.edu"
)

// TestReload changes the file under an open session, which goes on; a file
// that does not check changes nothing.
func TestReload(t *testing.T) {
	s := Start(t, stamped("one", bobOnly))
	c := smtpDial(t, s.Addr("smtp"))
	c.send("alice@crepes.fr", nextMail, "first")

	// In the middle of a transaction: its message goes through the new stage.
	c.say(250, "MAIL FROM:<alice@crepes.fr>")
	c.say(250, "RCPT TO:<bob@hamburger.edu>")
	s.Rewrite(stamped("two", bobOnly))
	s.Signal(syscall.SIGHUP)
	s.times("reloaded", 1)
	c.say(354, "DATA")
	c.say(250, "Subject: second\r\n\r\nHow about pickles?\r\n.")

	// A file with mistakes: nothing changes, and the log says why.
	for i, broken := range []string{
		stamped("three", bobOnly+"limit: {}\n"),
		strings.Replace(stamped("three", bobOnly), "{add:", "{ad:", 1),
		strings.Replace(stamped("three", bobOnly), "ROOT/plugins/stamp", "ROOT/plugins/gone", 1),
	} {
		s.Rewrite(broken)
		s.Signal(syscall.SIGHUP)
		e := s.times("reload failed, the old pipeline stays", i+1)
		if why := e.Str("err"); !strings.HasPrefix(why, s.File+":") || !strings.Contains(why, "; ") {
			t.Errorf("no place and cure: %s", why)
		}
	}
	c.send("alice@crepes.fr", nextMail, "third")

	// A new domain with an account.
	c.say(250, "MAIL FROM:<alice@crepes.fr>")
	c.say(554, "RCPT TO:<dave@pizza.it>")
	c.say(250, "RSET")
	s.Rewrite(stamped("four", andDave))
	s.Signal(syscall.SIGHUP)
	s.times("reloaded", 2)
	c.send("alice@crepes.fr", "dave@pizza.it", "fourth")
	c.send("alice@crepes.fr", nextMail, "fifth")
	c.say(221, "QUIT")

	inMailbox(t, s, 4)
	want := map[string]string{"first": "one", "second": "two", "third": "two", "fifth": "four"}
	for n := range 4 {
		content := string(popRetrieve(t, s.Addr("pop3"), "bob@hamburger.edu", n+1))
		generation, subject := fieldOf(content, "X-Generation"), fieldOf(content, "Subject")
		if want[subject] != generation {
			t.Errorf("%s went through generation %q, want %q", subject, generation, want[subject])
		}
	}
	popLogin(t, s.Addr("pop3"), "dave@pizza.it").cmd("RETR 1")

	// What a reload does not take up is named.
	s.Rewrite(stamped("five", andDave+"limits: {recipients: 7}\n"))
	s.Signal(syscall.SIGHUP)
	if e := s.times("these changes take a restart", 1); e.Str("keys") != "[limits]" {
		t.Errorf("keys are %s", e.Str("keys"))
	}
	s.times("reloaded", 3)
	if m := metricsOf(t, s); counter(m, "mta_reloads_total", "result", "ok") != 3 || counter(m, "mta_reloads_total", "result", "refused") != 3 {
		t.Errorf("reloads: %v", m["mta_reloads_total"])
	}
}

// fieldOf returns the value of the first header field of that name.
func fieldOf(content, name string) string {
	for line := range strings.SplitSeq(content, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}

// TestDrain asks the server to end while a message is coming in: that message
// is taken, the other sessions are told, and the process ends with code 0.
func TestDrain(t *testing.T) {
	s := Start(t, stamped("one", bobOnly))
	health := func() (int, string) { return get(t, s, "/healthz") }
	if code, body := health(); code != 200 || body != "serving\n" {
		t.Errorf("/healthz before: %d %q", code, body)
	}
	busy, idle := smtpDial(t, s.Addr("smtp")), smtpDial(t, s.Addr("smtp"))
	reader := popLogin(t, s.Addr("pop3"), "bob@hamburger.edu")
	busy.say(250, "MAIL FROM:<alice@crepes.fr>")
	busy.say(250, "RCPT TO:<bob@hamburger.edu>")
	busy.say(354, "DATA")
	if err := busy.text.PrintfLine("Subject: under way\r\n\r\nHow about"); err != nil {
		t.Fatal(err)
	}

	s.Signal(syscall.SIGTERM)
	s.times("draining", 1)
	if text := idle.want(421); !strings.HasPrefix(text, "4.3.2 ") {
		t.Errorf("the idle session hears %q", text)
	}
	if _, err := idle.text.ReadLine(); err != io.EOF {
		t.Errorf("the idle session stays open: %v", err)
	}
	if line, err := reader.text.ReadLine(); err == nil && !strings.HasPrefix(line, "-ERR") {
		t.Errorf("POP3 says %q", line)
	}
	if code, body := health(); code != 503 || body != "draining\n" {
		t.Errorf("/healthz while draining: %d %q", code, body)
	}
	if _, err := textproto.Dial("tcp", s.Addr("smtp")); err == nil {
		t.Error("a new session is taken while draining")
	}
	busy.say(250, "pickles?\r\n.")
	select {
	case <-s.done:
	case <-t.Context().Done():
	}
	if s.err != nil {
		t.Errorf("ended with %v", s.err)
	}
	s.times("stopped", 1)

	s.Up()
	inMailbox(t, s, 1)
	if got := fieldOf(string(popRetrieve(t, s.Addr("pop3"), "bob@hamburger.edu", 1)), "Subject"); got != "under way" {
		t.Errorf("subject is %q", got)
	}
	s.Stop()
}

func get(t testing.TB, s *Server, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + s.Addr("http") + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestAccountsOfARunningServer adds, changes and removes an account, each of
// which counts at once.
func TestAccountsOfARunningServer(t *testing.T) {
	s := Start(t, stamped("one", bobOnly))
	c := smtpDial(t, s.Addr("smtp"))
	rcpt := func(code int) {
		t.Helper()
		c.say(250, "MAIL FROM:<alice@crepes.fr>")
		c.say(code, "RCPT TO:<carol@hamburger.edu>")
		c.say(250, "RSET")
	}
	manage := func(stdin, command string) {
		t.Helper()
		if _, errs, code := s.Command(stdin, "account", command, "carol@hamburger.edu"); code != 0 {
			t.Fatalf("mta account %s: code %d: %s", command, code, errs)
		}
	}
	login := func(password string) string {
		t.Helper()
		text, err := textproto.Dial("tcp", s.Addr("pop3"))
		if err != nil {
			t.Fatal(err)
		}
		defer text.Close()
		text.ReadLine()
		text.PrintfLine("USER carol@hamburger.edu")
		text.ReadLine()
		text.PrintfLine("PASS %s", password)
		line, err := text.ReadLine()
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	rcpt(550)
	manage("her first secret\n", "add")
	rcpt(250)
	c.send("alice@crepes.fr", "carol@hamburger.edu", "welcome")
	if got := login("her first secret"); !strings.HasPrefix(got, "+OK") {
		t.Errorf("after add: %s", got)
	}
	manage("her second secret\n", "passwd")
	if got := login("her second secret"); !strings.HasPrefix(got, "+OK") {
		t.Errorf("after passwd: %s", got)
	}
	if got := login("her first secret"); !strings.HasPrefix(got, "-ERR") {
		t.Errorf("after passwd, with the old password: %s", got)
	}
	if out, _, code := s.Command("", "account", "list"); code != 0 || !strings.Contains(out, "bob@hamburger.edu\t") || !strings.Contains(out, "carol@hamburger.edu\t") {
		t.Errorf("list: code %d\n%s", code, out)
	}
	manage("", "remove")
	rcpt(550)
	if got := login("her second secret"); !strings.HasPrefix(got, "-ERR") {
		t.Errorf("after remove: %s", got)
	}
	if strings.Contains(s.Log()+s.Stdout(), "secret") {
		t.Errorf("a password is in the log:\n%s", s.Log())
	}
}

// metricsOf reads /metrics as Prometheus does.
func metricsOf(t testing.TB, s *Server) map[string]*dto.MetricFamily {
	t.Helper()
	code, body := get(t, s, "/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil || code != 200 {
		t.Fatalf("/metrics: %d, %v", code, err)
	}
	return families
}

// counter sums the values of those metrics of a family that have the labels,
// given as name, value, name, value.
func counter(families map[string]*dto.MetricFamily, name string, labels ...string) (sum float64) {
	for _, m := range families[name].GetMetric() {
		has := map[string]string{}
		for _, l := range m.Label {
			has[l.GetName()] = l.GetValue()
		}
		fits := true
		for i := 0; i < len(labels); i += 2 {
			fits = fits && has[labels[i]] == labels[i+1]
		}
		if fits {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

// TestMetrics does some things and finds each counted.
func TestMetrics(t *testing.T) {
	s := Start(t, stamped("one", bobOnly))
	c := smtpDial(t, s.Addr("smtp"))
	for range 3 {
		c.send("alice@crepes.fr", "bob@hamburger.edu", "counted")
	}
	c.say(250, "MAIL FROM:<alice@crepes.fr>")
	c.say(550, "RCPT TO:<nobody@hamburger.edu>")
	inMailbox(t, s, 3)
	m := metricsOf(t, s)
	await(t, "the outcomes", func() bool {
		m = metricsOf(t, s)
		return counter(m, "mta_attempts_total") == 3 && counter(m, "mta_queue_messages") == 0
	})
	for _, want := range []struct {
		n      float64
		name   string
		labels []string
	}{
		{1, "mta_build_info", nil},
		{1, "mta_sessions_open", []string{"listener", "smtp"}},
		{1, "mta_sessions_total", []string{"listener", "smtp"}},
		{1, "mta_refusals_total", []string{"listener", "smtp", "class", "5xx"}},
		{3, "mta_messages_total", []string{"listener", "smtp", "class", "2xx"}},
		{3, "mta_message_reply_seconds", []string{"listener", "smtp"}},
		{3, "mta_stage_seconds", []string{"stage", "stamp"}},
		{3, "mta_stages_total", []string{"stage", "stamp", "outcome", "continue"}},
		{3, "mta_queued_total", nil},
		{3, "mta_attempts_total", []string{"outcome", "delivered"}},
		{3, "mta_mailbox_deliveries_total", []string{"outcome", "delivered"}},
		{0, "mta_queue_messages", nil},
	} {
		if got := counter(m, want.name, want.labels...); got != want.n {
			t.Errorf("%s%v is %v, want %v", want.name, want.labels, got, want.n)
		}
	}
	if got := counter(m, "mta_logins_total", "protocol", "pop3", "result", "ok"); got < 1 {
		t.Errorf("no login was counted: %v", m["mta_logins_total"])
	}
	if code, body := get(t, s, "/"); code != 200 || !strings.Contains(body, "hamburger.edu") {
		t.Errorf("status page: %d\n%s", code, body)
	}
}
