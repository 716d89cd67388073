package smtpc

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc/smtpctest"
)

func octets(s string) mail.Bytes { return mail.Bytes(s) }

// onePath is a transaction of one recipient up to DATA, one command at a time.
const onePath = `
C: MAIL FROM:<alice@crepes.fr>
S: 250 2.1.0 ok
C: RCPT TO:<bob@hamburger.edu>
S: 250 2.1.5 ok
C: DATA
`

func TestSend(t *testing.T) {
	const step, pipe = "S: 250 HELP", "S: 250 PIPELINING"
	tests := []struct {
		name     string
		dialogue string
		to       []string
		cfg      Config
		want     string // the answers
		err      string // part of Report.Err
		stage    Stage  // where that was
		usable   bool
	}{
		{
			name:     "taken",
			dialogue: greeting + step + onePath + "S: 354 go\nC: hi\nC: .\nS: 250 2.0.0 queued as 17",
			want:     "end of DATA 250 2.0.0 queued as 17",
			usable:   true,
		},
		{
			name: "taken with pipelining",
			dialogue: greeting + pipe + `
				C: MAIL FROM:<alice@crepes.fr>
				C: RCPT TO:<bob@hamburger.edu>
				C: DATA
				S: 250 ok
				S: 251 will forward
				S: 354 go
				C: hi
				C: .
				S: 250 queued`,
			want:   "end of DATA 250 queued",
			usable: true,
		},
		{
			name:     "MAIL refused",
			dialogue: greeting + step + "\nC: MAIL FROM:<alice@crepes.fr>\nS: 550 5.7.1 no",
			want:     "MAIL 550 5.7.1 no",
			usable:   true,
		},
		{
			name: "MAIL refused with pipelining",
			dialogue: greeting + pipe + `
				C: MAIL FROM:<alice@crepes.fr>
				C: RCPT TO:<bob@hamburger.edu>
				C: DATA
				S: 451 4.7.1 later
				S: 503 5.5.1 MAIL first
				S: 503 5.5.1 RCPT first`,
			want:   "MAIL 451 4.7.1 later",
			usable: true,
		},
		{
			name:     "some recipients refused",
			to:       []string{"bob@hamburger.edu", "nobody@hamburger.edu", "carol@hamburger.edu"},
			dialogue: greeting + step + "\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: RCPT TO:<nobody@hamburger.edu>\nS: 550 5.1.1 who?\nC: RCPT TO:<carol@hamburger.edu>\nS: 450 4.2.1 later\nC: DATA\nS: 354 go\nC: hi\nC: .\nS: 250 ok",
			want:     "end of DATA 250 ok; RCPT 550 5.1.1 who?; RCPT 450 4.2.1 later",
			usable:   true,
		},
		{
			name:     "all recipients refused",
			dialogue: greeting + step + "\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 550 5.1.1 who?",
			want:     "RCPT 550 5.1.1 who?",
			usable:   true,
		},
		{
			name: "all recipients refused and yet 354: a lone dot",
			dialogue: greeting + pipe + `
				C: MAIL FROM:<alice@crepes.fr>
				C: RCPT TO:<bob@hamburger.edu>
				C: DATA
				S: 250 ok
				S: 550 5.1.1 who?
				S: 354 go
				C: .
				S: 554 5.5.1 no recipients`,
			want:   "RCPT 550 5.1.1 who?",
			usable: true,
		},
		{
			name: "MAIL refused and yet 354: no dot",
			dialogue: greeting + pipe + `
				C: MAIL FROM:<alice@crepes.fr>
				C: RCPT TO:<bob@hamburger.edu>
				C: DATA
				S: 550 no
				S: 250 ok
				S: 354 go`,
			want:  "MAIL 550 no",
			err:   "not SMTP",
			stage: StageData,
		},
		{
			name:     "DATA refused",
			dialogue: greeting + step + onePath + "S: 451 4.3.1 no room",
			want:     "DATA 451 4.3.1 no room",
			usable:   true,
		},
		{
			name:     "DATA answered with 250",
			dialogue: greeting + step + onePath + "S: 250 ok",
			want:     "none",
			err:      "not SMTP",
			stage:    StageData,
		},
		{
			name:     "content refused",
			dialogue: greeting + step + onePath + "S: 354 go\nC: hi\nC: .\nS: 554-5.6.0 no\nS: 554 5.6.0 never",
			want:     "end of DATA 554 5.6.0 no never",
			usable:   true,
		},
		{
			name:     "closed before MAIL was answered",
			dialogue: greeting + step + "\nC: MAIL FROM:<alice@crepes.fr>\n--",
			want:     "none",
			err:      "EOF",
			stage:    StageMail,
		},
		{
			name:     "421 for MAIL",
			dialogue: greeting + step + "\nC: MAIL FROM:<alice@crepes.fr>\nS: 421 4.4.2 idle too long\n--",
			want:     "MAIL 421 4.4.2 idle too long",
		},
		{
			name:     "421 for the second recipient",
			to:       []string{"bob@hamburger.edu", "carol@hamburger.edu"},
			dialogue: greeting + step + "\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 550 5.1.1 who?\nC: RCPT TO:<carol@hamburger.edu>\nS: 421 4.3.2 going down\n--",
			want:     "RCPT 550 5.1.1 who?; RCPT 421 4.3.2 going down",
		},
		{
			name:     "closed after RCPT",
			dialogue: greeting + step + "\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\n--",
			want:     "none",
			err:      "EOF",
			stage:    StageRcpt,
		},
		{
			name:     "closed in the middle of a reply",
			dialogue: greeting + step + onePath + "S! 354-go\n--",
			want:     "none",
			err:      "EOF",
			stage:    StageData,
		},
		{
			name:     "closed after the final dot",
			dialogue: greeting + step + onePath + "S: 354 go\nC: hi\nC: .\n--",
			want:     "none",
			err:      "EOF",
			stage:    StageEnd,
		},
		{
			name:     "LMTP: a reply for each recipient that RCPT took",
			cfg:      Config{LMTP: true},
			to:       []string{"bob@hamburger.edu", "nobody@hamburger.edu", "bob@hamburger.edu"},
			dialogue: "S: 220 x\nC: LHLO crepes.fr\nS: 250 x\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: RCPT TO:<nobody@hamburger.edu>\nS: 550 5.1.1 who?\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\nC: .\nS: 250 first\nS: 452 4.2.2 full",
			want:     "end of DATA 250 first; RCPT 550 5.1.1 who?; end of DATA 452 4.2.2 full",
			usable:   true,
		},
		{
			name:     "LMTP: closed between the replies",
			cfg:      Config{LMTP: true},
			to:       []string{"bob@hamburger.edu", "carol@hamburger.edu"},
			dialogue: "S: 220 x\nC: LHLO crepes.fr\nS: 250 x\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 250 ok\nC: RCPT TO:<carol@hamburger.edu>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\nC: .\nS: 250 first\n--",
			want:     "end of DATA 250 first; none",
			err:      "EOF",
			stage:    StageEnd,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			with(t, tt.dialogue, func(conn net.Conn) {
				cfg := tt.cfg
				cfg.Hostname, cfg.Mode = "crepes.fr", TLSNone
				to := tt.to
				if to == nil {
					to = []string{"bob@hamburger.edu"}
				}
				c, rep := send(t, conn, cfg, envelope(t, "alice@crepes.fr", to...), "hi\r\n")
				if got := texts(&rep); got != tt.want {
					t.Errorf("got answers %q, want %q", got, tt.want)
				}
				if tt.err == "" && rep.Err != nil || tt.err != "" && (rep.Err == nil || !strings.Contains(rep.Err.Error(), tt.err) || rep.Stage != tt.stage) {
					t.Errorf("got error %v in %s, want %q in %s", rep.Err, rep.Stage, tt.err, tt.stage)
				}
				if got := c.Usable(); got != tt.usable {
					t.Errorf("usable is %v, want %v", got, tt.usable)
				}
				c.Abort()
			})
		})
	}
}

// A second transaction needs no EHLO, and RSET only where the first was left
// open.
func TestSecondTransaction(t *testing.T) {
	const end = "S: 354 go\nC: hi\nC: .\nS: 250 ok\n"
	const refused = "\nC: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\nC: RCPT TO:<bob@hamburger.edu>\nS: 550 who?\n"
	tests := map[string]string{
		"after success":   greeting + "S: 250 HELP" + onePath + end + onePath + end,
		"after a refusal": greeting + "S: 250 HELP" + refused + "C: RSET\nS: 250 ok" + onePath + end,
		"after a refusal with pipelining": greeting + `S: 250 PIPELINING
			C: MAIL FROM:<alice@crepes.fr>
			C: RCPT TO:<bob@hamburger.edu>
			C: DATA
			S: 250 ok
			S: 550 who?
			S: 503 RCPT first
			C: RSET
			C: MAIL FROM:<alice@crepes.fr>
			C: RCPT TO:<bob@hamburger.edu>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 250 ok
			` + end,
	}
	for name, dialogue := range tests {
		t.Run(name, func(t *testing.T) {
			with(t, dialogue+"C: QUIT\nS: 221 bye", func(conn net.Conn) {
				env := envelope(t, "alice@crepes.fr", "bob@hamburger.edu")
				c, _ := send(t, conn, plain, env, "hi\r\n")
				rep, err := c.Send(t.Context(), env, octets("hi\r\n"))
				if got := texts(&rep); err != nil || got != "end of DATA 250 ok" {
					t.Errorf("got %q, %v", got, err)
				}
				if c.Sent() != 2 {
					t.Errorf("sent %d", c.Sent())
				}
				c.Close()
			})
		})
	}
}

func TestParameters(t *testing.T) {
	const offer = "S: 250-SIZE 1000\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250 DSN\n"
	tests := []struct {
		name     string
		env      mail.Envelope
		mail     string
		rcpt     string
		from, to string
	}{
		{
			name: "7-bit content says no BODY",
			from: "alice@crepes.fr", to: "bob@hamburger.edu",
			mail: "<alice@crepes.fr> SIZE=4",
			rcpt: "<bob@hamburger.edu>",
		},
		{
			name: "8-bit content",
			from: "alice@crepes.fr", to: "bob@hamburger.edu",
			env:  mail.Envelope{Body: mail.Body8Bit},
			mail: "<alice@crepes.fr> BODY=8BITMIME SIZE=4",
			rcpt: "<bob@hamburger.edu>",
		},
		{
			name: "the null reverse-path and a bare postmaster",
			to:   "postmaster",
			mail: "<> SIZE=4",
			rcpt: "<postmaster>",
		},
		{
			name: "quoted local parts",
			from: `"x> SIZE=99999 BODY=<y"@crepes.fr`, to: `"a \"b\" \\c"@hamburger.edu`,
			mail: `<"x> SIZE=99999 BODY=<y"@crepes.fr> SIZE=4`,
			rcpt: `<"a \"b\" \\c"@hamburger.edu>`,
		},
		{
			name: "internationalized",
			from: "andré@crêpes.fr", to: "bob@hamburger.edu",
			env:  mail.Envelope{UTF8: true},
			mail: "<andré@crêpes.fr> SIZE=4 SMTPUTF8",
			rcpt: "<bob@hamburger.edu>",
		},
		{
			name: "DSN",
			from: "alice@crepes.fr", to: "bob@hamburger.edu",
			env: mail.Envelope{Ret: "HDRS", EnvID: "a+b=c d", Recipients: []mail.Recipient{{
				Notify: mail.NotifySuccess | mail.NotifyDelay | mail.NotifyFailure,
				ORCPT:  "rfc822;Bob+tag@hamburger.edu",
			}}},
			mail: "<alice@crepes.fr> SIZE=4 RET=HDRS ENVID=a+2Bb+3Dc+20d",
			rcpt: "<bob@hamburger.edu> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Bob+2Btag@hamburger.edu",
		},
		{
			name: "DSN never, of an internationalized original recipient",
			from: "alice@crepes.fr", to: "bob@hamburger.edu",
			env:  mail.Envelope{Recipients: []mail.Recipient{{Notify: mail.NotifyNever, ORCPT: "utf-8;bo\\b+é@hamburger.edu"}}},
			mail: "<alice@crepes.fr> SIZE=4",
			rcpt: `<bob@hamburger.edu> NOTIFY=NEVER ORCPT=utf-8;bo\x{5C}b\x{2B}\x{E9}@hamburger.edu`,
		},
		{
			name: "DSN words that are none are left out",
			from: "alice@crepes.fr", to: "bob@hamburger.edu",
			env:  mail.Envelope{Ret: "FULL\r\nQUIT"},
			mail: "<alice@crepes.fr> SIZE=4",
			rcpt: "<bob@hamburger.edu>",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := tt.env
			env.ReversePath = path(t, tt.from)
			if env.Recipients == nil {
				env.Recipients = make([]mail.Recipient, 1)
			}
			env.Recipients[0].Path = path(t, tt.to)
			dialogue := greeting + offer + "C: MAIL FROM:" + tt.mail + "\nS: 250 ok\nC: RCPT TO:" + tt.rcpt + "\nS: 550 no"
			with(t, dialogue, func(conn net.Conn) { send(t, conn, plain, &env, "hi\r\n") })
		})
	}
}

// What the peer does not offer is not said.
func TestNoParameters(t *testing.T) {
	with(t, greeting+"S: 250 HELP"+onePath+"S: 451 later", func(conn net.Conn) {
		env := envelope(t, "alice@crepes.fr", "bob@hamburger.edu")
		env.Ret, env.EnvID = "FULL", "x"
		env.Recipients[0].Notify, env.Recipients[0].ORCPT = mail.NotifyNever, "rfc822;bob@hamburger.edu"
		send(t, conn, plain, env, "hi\r\n")
	})
}

// What the peer cannot take is not begun, and costs the connection nothing.
func TestCheckedFirst(t *testing.T) {
	tests := []struct {
		name string
		env  mail.Envelope
		from mail.Path
		size int
		want error
	}{
		{"too large", mail.Envelope{}, mail.Path{}, 1001, ErrSize},
		{"as large as may be", mail.Envelope{}, mail.Path{}, 1000, nil},
		{"8-bit content", mail.Envelope{Body: mail.Body8Bit}, mail.Path{}, 4, Err8Bit},
		{"binary content", mail.Envelope{Body: mail.BodyBinary}, mail.Path{}, 4, Err8Bit},
		{"SMTPUTF8", mail.Envelope{UTF8: true}, mail.Path{}, 4, ErrUTF8},
		{"an address that needs SMTPUTF8", mail.Envelope{}, mail.Path{Local: "é", Domain: "crepes.fr"}, 4, ErrUTF8},
		{"CR and LF in a local part", mail.Envelope{}, mail.Path{Local: "a\r\nRSET", Domain: "crepes.fr"}, 4, ErrPath},
		{"a domain with a parameter", mail.Envelope{}, mail.Path{Local: "a", Domain: "crepes.fr> BODY=8BITMIME"}, 4, ErrPath},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dialogue := greeting + "S: 250 SIZE 1000"
			if tt.want == nil {
				dialogue += "\nC: MAIL FROM:<> SIZE=1000\nS: 550 no"
			}
			with(t, dialogue, func(conn net.Conn) {
				c := open(t, conn, plain)
				tt.env.ReversePath = tt.from
				tt.env.Recipients = []mail.Recipient{{Path: path(t, "bob@hamburger.edu")}}
				_, err := c.Send(t.Context(), &tt.env, mail.Bytes(strings.Repeat("x", tt.size)))
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if !c.Usable() {
					t.Error("not usable any more")
				}
				c.Abort()
			})
		})
	}
}

// broken is content that cannot be read to its end.
type broken struct{ mail.Bytes }

var errDisk = errors.New("disk failed")

func (b broken) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(string(b.Bytes)), failing{})), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDisk }

// Content that breaks off must not be ended with a dot.
func TestContentFails(t *testing.T) {
	came := with(t, greeting+"S: 250 HELP"+onePath+"S: 354 go", func(conn net.Conn) {
		c := open(t, conn, plain)
		rep, err := c.Send(t.Context(), envelope(t, "alice@crepes.fr", "bob@hamburger.edu"), broken{octets("half a message\r\n")})
		if err != nil || !errors.Is(rep.Err, errDisk) || rep.Stage != StageData || c.Usable() {
			t.Errorf("got %v, %v in %s", err, rep.Err, rep.Stage)
		}
	})
	if strings.Contains(came, "\r\n.\r\n") {
		t.Errorf("the peer got %q", came)
	}
}

// A peer that refuses in the middle of the content, and closes, is heard.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			smtpctest.Play(t, theirs, greeting+"S: 250 HELP"+onePath+"S: 354 go\nC: hi")
			// The client is blocked in a write; it reads once that has timed out.
			smtpctest.Play(t, theirs, "S: 552 5.3.4 too much\n--")
		}()
		c, rep := send(t, ours, plain, envelope(t, "alice@crepes.fr", "bob@hamburger.edu"), strings.Repeat("hi\r\n", 1<<20))
		if got, want := texts(&rep), "DATA 552 5.3.4 too much"; got != want {
			t.Errorf("got %q (%v), want %q", got, rep.Err, want)
		}
		c.Abort()
		<-done
	})
}
