package smtpc

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc/smtpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// with plays dialogue against client, which gets the other end.
func with(t *testing.T, dialogue string, client func(net.Conn)) (came string) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		came = smtpctest.Play(t, theirs, dialogue)
		var rest strings.Builder
		io.Copy(&rest, theirs)
		came += rest.String()
	}()
	client(ours)
	ours.Close()
	<-done
	theirs.Close()
	return came
}

// greeting is how most dialogues begin.
const greeting = `
S: 220 mx.hamburger.edu ESMTP
C: EHLO crepes.fr
S: 250-mx.hamburger.edu
`

var plain = Config{Hostname: "crepes.fr", Mode: TLSNone}

func open(t *testing.T, conn net.Conn, cfg Config) *Conn {
	t.Helper()
	c, err := Open(t.Context(), conn, cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return c
}

func path(t testing.TB, s string) mail.Path {
	t.Helper()
	p, err := mail.ParsePath(s)
	if err != nil {
		t.Fatalf("path %q: %v", s, err)
	}
	return p
}

func envelope(t testing.TB, from string, to ...string) *mail.Envelope {
	t.Helper()
	env := &mail.Envelope{ReversePath: path(t, from)}
	for _, rcpt := range to {
		env.Recipients = append(env.Recipients, mail.Recipient{Path: path(t, rcpt)})
	}
	return env
}

// texts is a report's answers in short.
func texts(rep *Report) string {
	var out []string
	for _, a := range rep.Answers {
		if a.Reply == nil {
			out = append(out, "none")
			continue
		}
		out = append(out, a.Stage.String()+" "+a.Reply.Error())
	}
	return strings.Join(out, "; ")
}

// send opens a connection with cfg and does one transaction on it.
func send(t *testing.T, conn net.Conn, cfg Config, env *mail.Envelope, content string) (*Conn, Report) {
	t.Helper()
	c := open(t, conn, cfg)
	rep, err := c.Send(t.Context(), env, mail.Bytes(content))
	if err != nil {
		t.Fatalf("send: %v", err)
	}
	return c, rep
}

// within runs f with a context that ends after d.
func within(t *testing.T, d time.Duration, f func(context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	f(ctx)
}
