package e2e

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// pem is a certificate for name with its key.
func (a *authority) pem(name string) []byte {
	der, err := x509.CreateCertificate(rand.Reader, certificateFor(name), a.cert, a.key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
}

// mainCF makes Postfix take mail for postfix.example, under TLS only where
// masterCF does not say otherwise. It knows of no gone there, and
// sends on what is for hamburger.edu to us, under TLS, and the rest to a host.
const mainCF = `compatibility_level = 3.6
queue_directory = DIR/spool
data_directory = DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = DIR/maillog
maillog_file_prefixes = DIR
inet_protocols = ipv4
inet_interfaces = all
smtp_bind_address = 127.0.0.1
myhostname = mx.postfix.example
mydestination =
alias_maps =
local_recipient_maps =
mynetworks =
relay_domains = postfix.example
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{gone@postfix.example = 550 5.1.1 Gone away}}
smtpd_tls_chain_files = DIR/chain.pem
smtpd_tls_security_level = encrypt
smtpd_tls_received_header = yes
smtputf8_enable = yes
relayhost = [NET3]:25
transport_maps = inline:{{hamburger.edu = smtp:[127.0.0.1]:PORT}}
smtp_tls_policy_maps = inline:{{[127.0.0.1]:PORT = encrypt}}
`

const masterCF = `NET2:25 inet n - n - - smtpd
NET4:25 inet n - n - - smtpd -o smtpd_tls_security_level=none
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
`

// startPostfix runs Debian's Postfix as the hosts 2 and 4 of w; port is ours.
func startPostfix(t *testing.T, w *world, port string) (maillog func() string) {
	t.Helper()
	program := testpeer.Need(t, "postfix", "postfix")
	if os.Geteuid() != 0 {
		t.Skip("Postfix wants to be started by root")
	}
	w.listen("2", "25").Close() // or the test is skipped
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	fill := strings.NewReplacer("DIR", dir, "NET", w.net, "PORT", port)
	for name, text := range map[string][]byte{
		"main.cf": []byte(fill.Replace(mainCF)), "master.cf": []byte(fill.Replace(masterCF)), "chain.pem": w.trusted.pem("mx.postfix.example"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command(t, dir, "sh", "-c", fmt.Sprintf("chmod 755 %[1]s && mkdir %[1]s/spool %[1]s/data && chown postfix %[1]s/data && %[2]s -c %[1]s check", dir, program))
	cmd := exec.Command("/usr/lib/postfix/sbin/master", "-c", dir, "-d")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it ends its group
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() })
	maillog = func() string {
		text, _ := os.ReadFile(filepath.Join(dir, "maillog"))
		return string(text)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Postfix:\n%s", maillog())
		}
	})
	return maillog
}

// TestPostfix has a real Postfix as the mail host of domains: under TLS, with
// and without DANE, and where it offers no TLS that is required. What it takes it
// hands on to the octet, and what it reports of it comes back under TLS.
func TestPostfix(t *testing.T) {
	w := newWorld(t)
	yaml := strings.NewReplacer("PASSWORD", demoPassword, "DNS", w.dns.Addr).Replace(nextHops)
	s := Configure(t, strings.Replace(yaml, "required.example: mx?tls=required", "\"*.example\": mx?tls=required", 1))
	s.trust(w.trusted)
	chain := w.trusted.pem("hamburger.edu")
	for _, name := range []string{"cert.pem", "key.pem"} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), chain, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Up()
	w.host("3", func(srv *gosmtp.Server) { srv.EnableDSN, srv.EnableSMTPUTF8 = false, true })
	startPostfix(t, w, s.Port("smtp"))
	w.zone("postfix.example. MX 1 mx.postfix.example.\nmx.postfix.example. A $2\n_25._tcp.mx.postfix.example. " + w.trusted.tlsa() +
		"\nplain.example. MX 1 mx.plain.example.\nmx.plain.example. A $4\n")
	w.dns.Sign("postfix.example.")
	await(t, "Postfix", func() bool {
		c, err := gosmtp.Dial(w.net + "2:25")
		if err != nil {
			return false
		}
		return c.Close() == nil
	})

	c := smtpDial(t, s.Addr("smtp"))
	body := "From: alice@hamburger.edu\r\nDate: Thu, 26 Nov 2026 02:43:48 +0000\r\nMessage-ID: <1@hamburger.edu>\r\nSubject: pickles\r\n\r\nHow about Gurken für ålle?\r\n..two dots\r\n"
	for _, to := range []string{"bob@postfix.example NOTIFY=SUCCESS,FAILURE", "bø@postfix.example", "gone@postfix.example", "bob@plain.example"} {
		address, rest, _ := strings.Cut(to, " ")
		c.say(250, "MAIL FROM:<alice@hamburger.edu> BODY=8BITMIME SMTPUTF8 ENVID=circle RET=HDRS")
		c.say(250, "RCPT TO:<%s> %s", address, rest)
		c.say(354, "DATA")
		c.say(250, "%s.", strings.ReplaceAll(body, "\r\n.", "\r\n.."))
	}
	const none = "deferred 454 4.7.5 TLS with mx.plain.example:25 failed: TLS is required and not offered"
	for rcpt, want := range map[string]string{
		"bob@postfix.example": "relayed 250 2.0.0 Ok: queued as ", "bø@postfix.example": "relayed 250 2.0.0 Ok",
		"gone@postfix.example": "bounced 550 5.1.1 <gone", "bob@plain.example": none,
	} {
		local, domain, _ := strings.Cut(rcpt, "@")
		h := hop{domain: domain, rcpt: local, want: want}
		h.checkEvent(t, s)
	}
	for _, rcpt := range []string{"bob@postfix.example", "bø@postfix.example"} {
		await(t, "the message to "+rcpt, func() bool { return len(w.arrivedAt(rcpt)) > 0 })
		got := w.arrivedAt(rcpt)[0]
		if !strings.HasSuffix(got.content, body) || !strings.Contains(got.content, "(using TLSv1.3 with cipher") || !strings.Contains(got.content, "by mx.postfix.example (Postfix) with UTF8SMTPS") {
			t.Errorf("%s got %q", rcpt, got.content)
		}
	}
	if got := s.metric(`mta_relay_tls_total{failure="none",policy="tlsa"}`); got == "" || got == "0" {
		t.Errorf("%q sessions by DANE", got)
	}
	s.backFromPostfix()
}

// backFromPostfix waits for Postfix's report that it relayed, beside ours that
// one recipient is gone.
func (s *Server) backFromPostfix() {
	s.t.Helper()
	await(s.t, "both reports", func() bool { return len(s.reports()) >= 2 })
	var ours, theirs int
	for _, text := range s.reports() {
		switch {
		case strings.Contains(text, "Reporting-MTA: dns; mx.postfix.example") && strings.Contains(text, "Action: relayed") &&
			strings.Contains(text, "Original-Envelope-Id: circle") && strings.Contains(text, "with UTF8SMTPS (TLSv1.3 "):
			theirs++
		case strings.Contains(text, "Reporting-MTA: dns; hamburger.edu") && strings.Contains(text, "Action: failed"):
			ours++
		default:
			s.t.Errorf("another report:\n%s", text)
		}
	}
	if ours != 1 || theirs != 1 {
		s.t.Errorf("%d reports of ours and %d of Postfix", ours, theirs)
	}
}

// reports is what alice has.
func (s *Server) reports() (texts []string) {
	files, err := filepath.Glob(filepath.Join(s.Dir, "var/mail/alice@hamburger.edu/new/*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return texts
}
