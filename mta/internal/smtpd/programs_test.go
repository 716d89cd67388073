package smtpd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// TestSwaks sends with a real client: plain, pipelined and with AUTH.
func TestSwaks(t *testing.T) {
	swaks := testpeer.Need(t, "swaks", "swaks")
	serverTLS, _ := testTLS(t)
	for name, tt := range map[string]struct {
		args   []string
		listen mail.Listener
		with   string // the protocol in Received:
	}{
		"HELO":              {args: []string{"--protocol", "SMTP"}, with: "SMTP"},
		"EHLO":              {args: nil, with: "ESMTP"},
		"pipelining":        {args: []string{"--pipeline"}, with: "ESMTP"},
		"AUTH PLAIN":        {args: []string{"--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "ketchup"}, listen: mail.ListenerSubmission, with: "ESMTPA"},
		"AUTH LOGIN":        {args: []string{"--auth", "LOGIN", "--auth-user", "alice", "--auth-password", "ketchup"}, listen: mail.ListenerSubmission, with: "ESMTPA"},
		"LMTP":              {args: []string{"--protocol", "LMTP"}, listen: mail.ListenerLMTP, with: "LMTP"},
		"dots and 8-bit":    {args: []string{"--body", ".\\n..\\n.x\\nä"}, with: "ESMTP"},
		"a large file":      {args: []string{"--attach", "@" + bigFile(t)}, with: "ESMTP"},
		"a refused address": {args: []string{"--to", "bob@hamburger.edu,nobody@hamburger.edu"}, with: "ESMTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, q := newServer(t)
			srv.TLS, srv.Listener = serverTLS, tt.listen
			host, port, err := net.SplitHostPort(serve(t, srv))
			if err != nil {
				t.Fatal(err)
			}
			args := append([]string{"--server", host, "--port", port, "--ehlo", "crepes.fr", "--from", "alice@crepes.fr", "--to", "bob@hamburger.edu"}, tt.args...)
			out, err := exec.Command(swaks, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("swaks %s: %v\n%s", args, err, out)
			}
			got := q.messages()
			if len(got) != 1 {
				t.Fatalf("%d messages\n%s", len(got), out)
			}
			if word := " with " + tt.with; !strings.Contains(got[0].content, word+"\r\n") && !strings.Contains(got[0].content, word+" (") {
				t.Errorf("no %q in %q", word, got[0].content[:300])
			}
		})
	}
}

// TestCurl sends with a real client under TLS.
func TestCurl(t *testing.T) {
	curl := testpeer.Need(t, "curl", "curl")
	serverTLS, _ := testTLS(t)
	message := writeFile(t, "Subject: ketchup\r\n\r\n..\r\nDo you like it?\r\n")
	for name, tt := range map[string]struct {
		scheme string
		auth   string
	}{
		"STARTTLS and AUTH PLAIN": {scheme: "smtp", auth: "PLAIN"},
		"STARTTLS and AUTH LOGIN": {scheme: "smtp", auth: "LOGIN"},
		"implicit TLS":            {scheme: "smtps", auth: "PLAIN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, q := newServer(t)
			srv.TLS, srv.Listener, srv.ImplicitTLS = serverTLS, mail.ListenerSubmission, tt.scheme == "smtps"
			args := []string{
				"--silent", "--show-error", "--insecure", "--ssl-reqd", "--url", tt.scheme + "://" + serve(t, srv) + "/crepes.fr",
				"--user", "alice:ketchup", "--login-options", "AUTH=" + tt.auth,
				"--mail-from", "alice@hamburger.edu", "--mail-rcpt", "jack@example.com", "--upload-file", message,
			}
			if out, err := exec.Command(curl, args...).CombinedOutput(); err != nil {
				t.Fatalf("curl: %v\n%s", err, out)
			}
			got := q.messages()
			if len(got) != 1 || !strings.Contains(got[0].content, " with ESMTPSA (TLSv1.3 ") || got[0].body() != "Subject: ketchup\r\n\r\n..\r\nDo you like it?\r\n" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func bigFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "crepe.jpg")
	if err := os.WriteFile(name, make([]byte, 200<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestSMTPSource takes what Postfix's load generator sends.
func TestSMTPSource(t *testing.T) {
	source := testpeer.Need(t, "smtp-source", "postfix")
	srv, q := newServer(t)
	addr := serve(t, srv)
	for _, args := range [][]string{
		{"-s", "10", "-m", "200", "-l", "4096"},
		{"-s", "10", "-m", "200", "-l", "100000", "-d"},
	} {
		args = append(args, "-f", "alice@crepes.fr", "-t", "bob@hamburger.edu", addr)
		if out, err := exec.Command(source, args...).CombinedOutput(); err != nil {
			t.Fatalf("smtp-source %s: %v\n%s", args, err, out)
		}
	}
	if n := len(q.messages()); n != 400 {
		t.Errorf("%d messages, want 400", n)
	}
}
