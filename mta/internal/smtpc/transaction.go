package smtpc

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A Stage is a step of a transaction.
type Stage int

const (
	StageMail Stage = iota // MAIL, and RSET before it
	StageRcpt              // RCPT
	StageData              // DATA and the content, up to its last octet
	StageEnd               // the final dot: from here on the peer may have the message
)

// String is the step as a sentence can name it.
func (s Stage) String() string {
	return [...]string{"MAIL", "RCPT", "DATA", "end of DATA"}[s]
}

// An Answer is the peer's last word about one recipient. Its Reply is nil if
// the connection failed before one came.
type Answer struct {
	Reply *smtp.Reply
	Stage Stage // what the reply answers
}

// A Report is how a transaction went. Only an Answer with a positive Reply at
// StageEnd means that the peer took the message.
type Report struct {
	Answers []Answer // one per recipient, in their order
	Err     error    // why the connection or the content failed; nil if nothing but replies refused
	Stage   Stage    // where Err happened
}

// Unsent tells whether the connection failed before the peer had said
// anything: nothing has happened, and another connection may do.
func (r *Report) Unsent() bool { return r.Err != nil && r.Stage == StageMail }

// Send does one transaction: env to all of its recipients, with content. It
// checks first what the peer offers, and returns ErrSize, ErrUTF8, Err8Bit or
// ErrPath, or why content cannot be opened, as the error before anything is sent. Content leaves octet for octet
// where its lines end in CRLF; see [smtp.DataWriter] for the rest. The peer may have
// taken the message although Report.Err is set if Report.Stage is StageEnd,
// and only then.
func (c *Conn) Send(ctx context.Context, env *mail.Envelope, content mail.Content) (Report, error) {
	if err := c.check(env, content); err != nil {
		return Report{}, err
	}
	r, err := content.Open()
	if err != nil {
		return Report{}, fmt.Errorf("open content: %w", err)
	}
	defer r.Close()
	t := &transaction{Conn: c, env: env, size: content.Size(), report: Report{Answers: make([]Answer, len(env.Recipients))}}
	stop := c.watch(ctx)
	defer stop()
	whole := false
	defer func() {
		if !whole { // content panicked: the peer must not take its half for all
			c.Abort()
		}
	}()
	t.sent++
	if t.envelope() {
		t.content(r)
	}
	whole = true
	t.report.Err = because(ctx, t.report.Err)
	return t.report, nil
}

// check refuses what the peer is known to be unable to take.
func (c *Conn) check(env *mail.Envelope, content mail.Content) error {
	if c.offer.Size > 0 && content.Size() > c.offer.Size {
		return fmt.Errorf("%w: %d octets, it takes %d", ErrSize, content.Size(), c.offer.Size)
	}
	utf8 := env.ReversePath.NeedsUTF8()
	if !nameable(env.ReversePath) {
		return ErrPath
	}
	for i := range env.Recipients {
		utf8 = utf8 || env.Recipients[i].Path.NeedsUTF8()
		if !nameable(env.Recipients[i].Path) {
			return ErrPath
		}
	}
	if env.UTF8 && !c.offer.Has("SMTPUTF8") || utf8 && !env.UTF8 {
		return ErrUTF8
	}
	if env.Body == mail.BodyBinary && !c.TakesBinary() || env.Body == mail.Body8Bit && !c.offer.Has("8BITMIME") {
		return Err8Bit
	}
	return nil
}

// TakesBinary tells whether the peer takes content of any octets: by BDAT, with
// BODY=BINARYMIME (RFC 3030 §3).
func (c *Conn) TakesBinary() bool { return c.offer.Has("BINARYMIME") && c.offer.Has("CHUNKING") }

// A transaction is one Send at work.
type transaction struct {
	*Conn
	env      *mail.Envelope
	report   Report
	size     int64 // of the content
	accepted int   // recipients that RCPT took
}

// fail notes why the connection is of no further use.
func (t *transaction) fail(s Stage, err error) {
	t.broken = true
	t.report.Err, t.report.Stage = err, s
}

// settle gives reply to each recipient that has no answer yet.
func (t *transaction) settle(s Stage, reply *smtp.Reply) {
	for i := range t.report.Answers {
		if a := &t.report.Answers[i]; a.Reply == nil {
			*a = Answer{reply, s}
		}
	}
}

// envelope says MAIL, RCPT and DATA, all at once to a peer that offers
// PIPELINING (RFC 2920). It tells whether content is to follow.
func (t *transaction) envelope() bool {
	if err := t.inStep(); err != nil {
		t.fail(StageMail, err)
		return false
	}
	pipelined := t.offer.Has("PIPELINING")
	t.patience = t.cfg.Timeouts.Mail
	if pipelined {
		t.putAll()
		if err := t.flush(); err != nil {
			t.fail(StageMail, err)
			return false
		}
	}
	if t.open {
		if reply, ok := t.exchange(StageMail, t.cfg.Timeouts.Mail, pipelined, t.putReset); !ok {
			return false
		} else if reply.Code/100 != 2 {
			t.fail(StageMail, fmt.Errorf("RSET: %w", refusal(reply)))
			return false
		}
		t.open = false
	}
	mail, ok := t.exchange(StageMail, t.cfg.Timeouts.Mail, pipelined, t.putMail)
	if !ok {
		return false
	}
	t.open = true
	refused := mail.Code/100 != 2
	if refused {
		t.settle(StageMail, mail)
		if !pipelined {
			return false
		}
	}
	if !t.recipients(pipelined, refused) || t.accepted == 0 && !pipelined {
		return false
	}
	if t.chunked() {
		return t.accepted > 0
	}
	return t.data(pipelined, refused)
}

// chunked tells whether the content goes by BDAT, which no command announces.
func (t *transaction) chunked() bool { return t.env.Body == mail.BodyBinary }

// recipients says RCPT for each. After a refused MAIL the replies count for
// nothing.
func (t *transaction) recipients(pipelined, refused bool) bool {
	for i := range t.env.Recipients {
		put := func() { t.putRcpt(&t.env.Recipients[i]) }
		reply, ok := t.exchange(StageRcpt, t.cfg.Timeouts.Rcpt, pipelined, put)
		switch {
		case !ok:
			return false
		case refused:
		case reply.Code/100 == 2: // 250, 251, 252
			t.accepted++
		default:
			t.report.Answers[i] = Answer{reply, StageRcpt}
		}
	}
	return true
}

// data says DATA, and tells whether the peer waits for content that somebody
// is to receive.
func (t *transaction) data(pipelined, refused bool) bool {
	reply, ok := t.exchange(StageData, t.cfg.Timeouts.DataInit, pipelined, t.putData)
	switch {
	case !ok:
		return false
	case reply.Code == 354 && t.accepted > 0:
		return true
	case reply.Code == 354 && !refused && !t.cfg.LMTP:
		t.nothing()
		return false
	case reply.Code < 400: // content would go nobody knows where
		t.fail(StageData, fmt.Errorf("DATA: %w", refusal(reply)))
		return false
	}
	t.settle(StageData, reply)
	return false
}

// nothing answers a 354 though no recipient was taken: with a lone dot
// (RFC 2920 §3.1), whose reply counts for nothing.
func (t *transaction) nothing() {
	if _, err := t.ask(t.cfg.Timeouts.DataEnd, "."); err == nil {
		t.open = false
	}
}

// exchange reads the reply to a command, which it writes first unless all are
// on their way. It notes a failure, and the end of the dialogue at 421.
func (t *transaction) exchange(s Stage, timeout time.Duration, pipelined bool, put func()) (*smtp.Reply, bool) {
	if !pipelined {
		if err := t.inStep(); err != nil {
			t.fail(s, err)
			return nil, false
		}
		t.patience = timeout
		put()
		if err := t.flush(); err != nil {
			t.fail(s, err)
			return nil, false
		}
	}
	reply, err := t.readReply(timeout)
	if err != nil {
		t.fail(s, err)
		return nil, false
	}
	if reply.Code == 421 {
		t.settle(s, reply)
		return nil, false
	}
	return reply, true
}

// content sends what r has, and reads what the peer says to it.
func (t *transaction) content(r io.Reader) {
	t.patience = t.cfg.Timeouts.DataBlock
	var err error
	if t.chunked() {
		err = t.chunk(r)
	} else {
		dot := smtp.DataWriter{W: t.w}
		if _, err = io.Copy(&dot, r); err == nil {
			dot.Close()
		}
	}
	if _, failed := t.w.Write(nil); failed != nil { // the buffer keeps its error
		t.lastWords(failed)
		return
	}
	if err != nil { // no dot, no last octet: the peer must not take half a message
		t.Abort()
		t.fail(StageData, fmt.Errorf("read content: %w", err))
		return
	}
	if err := t.flush(); err != nil {
		t.lastWords(err)
		return
	}
	t.open = false
	t.end()
}

// chunk writes content as one chunk, the last (RFC 3030 §2). It fails unless r
// has as many octets as were announced.
func (t *transaction) chunk(r io.Reader) error {
	fmt.Fprintf(t.w, "BDAT %d LAST\r\n", t.size)
	n, err := io.Copy(t.w, io.LimitReader(r, t.size))
	if err == nil && n < t.size {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// end reads the replies to the final dot: one, or with LMTP one for each
// recipient that RCPT took (RFC 2033 §4.2).
func (t *transaction) end() {
	for i := range t.report.Answers {
		a := &t.report.Answers[i]
		if a.Reply != nil {
			continue
		}
		reply, err := t.readReply(t.cfg.Timeouts.DataEnd)
		if err == nil && reply.Code/100 == 3 {
			err = refusal(reply)
		}
		if err != nil {
			t.fail(StageEnd, err)
			return
		}
		if !t.cfg.LMTP || reply.Code == 421 {
			t.settle(StageEnd, reply)
			return
		}
		*a = Answer{reply, StageEnd}
	}
}

// lastWords looks, after content could not be written, for the reply that a
// peer may have left before it closed.
func (t *transaction) lastWords(err error) {
	t.fail(StageData, fmt.Errorf("write content: %w", err))
	reply, readErr := t.readReply(t.cfg.Timeouts.Quit)
	if readErr == nil && reply.Code >= 400 {
		t.report.Err = nil
		t.settle(StageData, reply)
	}
}
