package smtpc

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/smtp"
	"github.com/wasmta/wasmta/mta/internal/smtpc/smtpctest"
)

func TestOpen(t *testing.T) {
	tests := []struct {
		name     string
		dialogue string
		cfg      Config
		offers   string // keyword that has to be there
		err      string // part of the error
	}{
		{
			name:     "EHLO",
			dialogue: greeting + "S: 250-PIPELINING\nS: 250 SIZE 1000",
			offers:   "PIPELINING",
		},
		{
			name:     "keywords in lower case",
			dialogue: greeting + "S: 250-pipelining\nS: 250 8bitMime",
			offers:   "8BITMIME",
		},
		{
			name:     "a reply without text",
			dialogue: "S: 220\nC: EHLO crepes.fr\nS: 250",
		},
		{
			name: "a greeting of many lines",
			dialogue: `
				S: 220-mx.hamburger.edu
				S: 220-no soliciting
				S: 220 ready
				C: EHLO crepes.fr
				S: 250 mx.hamburger.edu`,
		},
		{
			name: "HELO for a peer that does not know EHLO",
			dialogue: `
				S: 220 old.hamburger.edu
				C: EHLO crepes.fr
				S: 500 what?
				C: HELO crepes.fr
				S: 250 old.hamburger.edu`,
		},
		{
			name:     "a greeting that refuses for now",
			dialogue: "S: 421 4.3.2 busy",
			err:      "greeting: 421 4.3.2 busy",
		},
		{
			name:     "a greeting that refuses for good",
			dialogue: "S: 554 5.7.1 not from you",
			err:      "greeting: 554 5.7.1 not from you",
		},
		{
			name:     "another protocol",
			dialogue: "S: SSH-2.0-OpenSSH_9.2",
			err:      "not SMTP",
		},
		{
			name:     "another reply than a greeting",
			dialogue: "S: 250 hello",
			err:      "reply 250: not SMTP",
		},
		{
			name:     "closed before the greeting",
			dialogue: "--",
			err:      "EOF",
		},
		{
			name:     "EHLO and HELO refused",
			dialogue: "S: 220 x\nC: EHLO crepes.fr\nS: 550 no\nC: HELO crepes.fr\nS: 550 5.7.1 no",
			err:      "HELO: 550 5.7.1 no",
		},
		{
			name:     "EHLO refused for now",
			dialogue: "S: 220 x\nC: EHLO crepes.fr\nS: 451 4.7.1 later",
			err:      "EHLO: 451 4.7.1 later",
		},
		{
			name:     "LHLO",
			dialogue: "S: 220 x\nC: LHLO crepes.fr\nS: 250 x",
			cfg:      Config{LMTP: true},
		},
		{
			name:     "LHLO refused has no HELO to fall back to",
			dialogue: "S: 220 x\nC: LHLO crepes.fr\nS: 500 SMTP only",
			cfg:      Config{LMTP: true},
			err:      "LHLO: 500 SMTP only",
		},
		{
			name:     "a reply that nobody asked for",
			dialogue: `S! 220 x\r\n250 y\r\n`,
			err:      "not SMTP",
		},
		{
			name:     "TLS required and not offered",
			dialogue: greeting + "S: 250 SIZE",
			cfg:      Config{Mode: TLSRequired},
			err:      "TLS is required and not offered",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			with(t, tt.dialogue, func(conn net.Conn) {
				cfg := tt.cfg
				cfg.Hostname = "crepes.fr"
				if cfg.Mode != TLSRequired {
					cfg.Mode = TLSNone
				}
				c, err := Open(t.Context(), conn, cfg)
				if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got error %v, want %q", err, tt.err)
				}
				if err == nil && tt.offers != "" && !c.Offer().Has(tt.offers) {
					t.Errorf("offer is %v, without %s", c.Offer().Keywords, tt.offers)
				}
			})
		})
	}
}

func TestRefusalIsReply(t *testing.T) {
	with(t, "S: 554-5.7.1 no\nS: 554 5.7.1 really\x07 no", func(conn net.Conn) {
		_, err := Open(t.Context(), conn, plain)
		reply, ok := errors.AsType[*smtp.Reply](err)
		if !ok {
			t.Fatalf("got %v, want a reply", err)
		}
		want := smtp.Reply{Code: 554, Enh: smtp.Enh{5, 7, 1}, Text: "no\nreally? no"}
		if *reply != want {
			t.Errorf("got %+v, want %+v", *reply, want)
		}
	})
}

func TestOfferLimits(t *testing.T) {
	o := parseOffer([]string{"mx.hamburger.edu at your service", "size 52428800", "limits rcptmax=25 MAILMAX=7 X=y", "AUTH=LOGIN PLAIN", "", "-", "8BITMIME"})
	if o.Name != "mx.hamburger.edu" || o.Size != 52428800 || o.RcptMax != 25 || o.MailMax != 7 {
		t.Errorf("got %+v", o)
	}
	if got, want := o.Keywords["AUTH"], "LOGIN PLAIN"; got != want {
		t.Errorf("AUTH is %q, want %q", got, want)
	}
}

// Every read and write has an end.
func TestTimeouts(t *testing.T) {
	tests := []struct {
		name     string
		dialogue string
		after    time.Duration
	}{
		{"no greeting", "", 5 * time.Minute},
		{"half a greeting", "S! 220 mx.ham", 5 * time.Minute},
		{"no reply to EHLO", "S: 220 x\nC: EHLO crepes.fr", 5 * time.Minute},
		{"no reply to MAIL", greeting + "S: 250 SIZE\nC: MAIL FROM:<alice@crepes.fr> SIZE=4", 5 * time.Minute},
		{"no reply to DATA", greeting + "S: 250 HELP\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: DATA", 2 * time.Minute},
		{"no reply to the final dot", greeting + "S: 250 HELP\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\nC: .", 10 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				with(t, tt.dialogue, func(conn net.Conn) {
					start := time.Now()
					c, err := Open(t.Context(), conn, plain)
					if err == nil {
						var rep Report
						rep, err = c.Send(t.Context(), envelope(t, "alice@crepes.fr", "bob@hamburger.edu"), octets("hi\r\n"))
						if err == nil {
							err = rep.Err
						}
					}
					var ne net.Error
					if !errors.As(err, &ne) || !ne.Timeout() {
						t.Errorf("got error %v, want a time-out", err)
					}
					if got := time.Since(start); got != tt.after {
						t.Errorf("took %v, want %v", got, tt.after)
					}
				})
			})
		})
	}
}

// A peer that stops reading in DATA ends the transaction after DataBlock.
func TestWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		go smtpctest.Play(t, theirs, greeting+"S: 250 HELP\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: DATA\nS: 354 go")
		start := time.Now()
		c, rep := send(t, ours, plain, envelope(t, "alice@crepes.fr", "bob@hamburger.edu"), strings.Repeat("hi\r\n", 1<<20))
		if rep.Err == nil || rep.Stage != StageData || rep.Answers[0].Reply != nil {
			t.Errorf("got %s, error %v in %v", texts(&rep), rep.Err, rep.Stage)
		}
		// Then the peer's last words are waited for.
		if got, want := time.Since(start), 3*time.Minute+5*time.Second; got != want {
			t.Errorf("took %v, want %v", got, want)
		}
		if c.Usable() {
			t.Error("still usable")
		}
		c.Abort()
	})
}

func TestContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		with(t, "", func(conn net.Conn) {
			within(t, time.Second, func(ctx context.Context) {
				start := time.Now()
				_, err := Open(ctx, conn, plain)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got error %v", err)
				}
				if got := time.Since(start); got != time.Second {
					t.Errorf("took %v", got)
				}
			})
		})
	})
}
