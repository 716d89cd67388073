package smtpc

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc/smtpctest"
)

// The tests in this file show on the wire what go-smtp's client does and what
// this package does instead. When one of the former fails after an update of
// go-smtp, mta/docs/decisions/0002-smtp-client.md wants another look.

// bare plays dialogue against go-smtp's client, and returns what the client sent.
func bare(t *testing.T, dialogue string, client func(*gosmtp.Client)) string {
	t.Helper()
	return with(t, dialogue, func(conn net.Conn) {
		c := gosmtp.NewClient(conn)
		if err := c.Hello("crepes.fr"); err != nil {
			t.Errorf("hello: %v", err)
		}
		client(c)
	})
}

func TestBareSaysLocalhostBeforeTLS(t *testing.T) {
	came := with(t, "S: 220 x\nC: EHLO localhost\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 no", func(conn net.Conn) {
		gosmtp.NewClientStartTLS(conn, &tls.Config{ServerName: "mx.hamburger.edu"})
	})
	if !strings.Contains(came, "EHLO localhost") {
		t.Errorf("got %q", came)
	}
	with(t, "S: 220 x\nC: EHLO crepes.fr\nS: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 no", func(conn net.Conn) {
		if _, err := Open(t.Context(), conn, Config{Hostname: "crepes.fr", TLS: &tls.Config{ServerName: "x"}}); err == nil {
			t.Error("opened")
		}
	})
}

func TestBareMissesKeywordsInLowerCase(t *testing.T) {
	const dialogue = greeting + "S: 250-starttls\nS: 250 size 10"
	bare(t, dialogue, func(c *gosmtp.Client) {
		if ok, _ := c.Extension("STARTTLS"); ok {
			t.Error("go-smtp sees STARTTLS")
		}
		if _, ok := c.MaxMessageSize(); ok {
			t.Error("go-smtp sees SIZE")
		}
	})
	with(t, dialogue, func(conn net.Conn) {
		o := open(t, conn, plain).Offer()
		if !o.Has("STARTTLS") || o.Size != 10 {
			t.Errorf("got %+v", o)
		}
	})
}

func TestBareCallsEveryMessage8Bit(t *testing.T) {
	const offer = greeting + "S: 250 8BITMIME\n"
	bare(t, offer+"C: MAIL FROM:<alice@crepes.fr> BODY=8BITMIME\nS: 250 ok", func(c *gosmtp.Client) {
		c.Mail("alice@crepes.fr", &gosmtp.MailOptions{Body: gosmtp.Body7Bit})
	})
	with(t, offer+"C: MAIL FROM:<alice@crepes.fr>\nS: 550 no", func(conn net.Conn) {
		send(t, conn, plain, envelope(t, "alice@crepes.fr", "bob@hamburger.edu"), "hi\r\n")
	})
}

func TestBareLetsAddressesInject(t *testing.T) {
	const evil = "a> SIZE=1 X=<b"
	bare(t, greeting+"S: 250 HELP\nC: MAIL FROM:<a> SIZE=1 X=<b@crepes.fr>\nS: 250 ok", func(c *gosmtp.Client) {
		c.Mail(evil+"@crepes.fr", nil)
	})
	with(t, greeting+"S: 250 HELP\nC: MAIL FROM:<\"a> SIZE=1 X=<b\"@crepes.fr>\nS: 550 no", func(conn net.Conn) {
		env := envelope(t, "", "bob@hamburger.edu")
		env.ReversePath = mail.Path{Local: evil, Domain: "crepes.fr"}
		send(t, conn, plain, env, "hi\r\n")
	})
}

func TestBareResetCostsEHLO(t *testing.T) {
	bare(t, greeting+"S: 250 HELP\nC: RSET\nS: 250 ok\nC: EHLO crepes.fr\nS: 250 x\nC: NOOP\nS: 250 ok", func(c *gosmtp.Client) {
		c.Reset()
		c.Noop()
	})
	// TestSecondTransaction has ours.
}

func TestBareChangesContent(t *testing.T) {
	const wrong = "a\r\r\r\n.\r\n"
	came := bare(t, greeting+"S: 250 HELP\nC: DATA\nS: 354 go", func(c *gosmtp.Client) {
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		c.SubmissionTimeout = time.Nanosecond
		io.WriteString(w, "a\r\r\n")
		w.Close()
	})
	if !strings.HasSuffix(came, wrong) {
		t.Errorf("go-smtp sent %q", came)
	}
	// smtp.TestDataWriter has ours.
}

func TestBareSaysMoreAfterFailedAuth(t *testing.T) {
	const dialogue = greeting + "S: 250 AUTH PLAIN\nC: AUTH PLAIN AGEAYg==\nS: 535 5.7.8 wrong\n"
	bare(t, dialogue+"C: *\nS: 500 what?", func(c *gosmtp.Client) {
		c.Auth(sasl.NewPlainClient("", "a", "b"))
	})
	with(t, dialogue, func(conn net.Conn) {
		cfg := plain
		cfg.Auth = &Credentials{"a", "b"}
		if _, err := Open(t.Context(), conn, cfg); err == nil || err.Error() != "AUTH: 535 5.7.8 wrong" {
			t.Errorf("got %v", err)
		}
	})
}

func TestBareKeepsReplyOfAnySize(t *testing.T) {
	const lines = 5000
	line := "550-" + strings.Repeat("no", 100) + "\r\n"
	flood := func(conn net.Conn) {
		io.WriteString(conn, "220 x\r\n")
		io.ReadFull(conn, make([]byte, len("EHLO crepes.fr\r\n")))
		for range lines {
			if _, err := io.WriteString(conn, line); err != nil {
				return
			}
		}
		io.WriteString(conn, "550 no\r\n")
		io.Copy(io.Discard, conn)
	}
	run := func(client func(net.Conn) error) error {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() { defer close(done); flood(theirs) }()
		err := client(ours)
		ours.Close()
		<-done
		theirs.Close()
		return err
	}
	err := run(func(conn net.Conn) error { return gosmtp.NewClient(conn).Hello("crepes.fr") })
	if err == nil || len(err.Error()) < lines*200 {
		t.Errorf("go-smtp keeps %d octets", len(fmt.Sprint(err)))
	}
	err = run(func(conn net.Conn) error { _, err := Open(t.Context(), conn, plain); return err })
	if err == nil || len(err.Error()) > maxReplyText {
		t.Errorf("we keep %d octets", len(fmt.Sprint(err)))
	}
}

func TestBareMixesUpLMTPReplies(t *testing.T) {
	// TestSend has ours.
	dialogue := "S: 220 x\nC: LHLO crepes.fr\nS: 250 x\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\nC: .\nS: 250 first\nS: 452 full"
	with(t, dialogue, func(conn net.Conn) {
		c := gosmtp.NewClientLMTP(conn)
		c.Hello("crepes.fr")
		c.Rcpt("bob@hamburger.edu", nil)
		c.Rcpt("bob@hamburger.edu", nil)
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "hi\r\n")
		replies, err := w.CloseWithLMTPResponse()
		if len(replies) != 1 || err == nil {
			t.Errorf("got %v, %v: which recipient is which?", replies, err)
		}
	})
}

func TestBareWaitsForeverInData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go smtpctest.Play(t, theirs, greeting+"S: 250 HELP\nC: DATA\nS: 354 go")
		done := make(chan struct{})
		go func() {
			defer close(done)
			c := gosmtp.NewClient(ours)
			c.Hello("crepes.fr")
			w, err := c.Data()
			if err != nil {
				return
			}
			io.Copy(w, strings.NewReader(strings.Repeat("hi\r\n", 1<<20)))
		}()
		time.Sleep(30 * 24 * time.Hour)
		synctest.Wait()
		select {
		case <-done:
			t.Error("go-smtp has a time-out in DATA")
		default:
		}
		ours.Close()
		theirs.Close()
		<-done
	})
	// TestWriteTimeout has ours.
}
