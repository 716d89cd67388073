// Package offline takes messages through a pipeline without a server, and
// reports what each stage did: no connection, no queue, and a clock that stands
// still, so that a message costs the same each time. The pipeline is the
// caller's.
package offline

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/report"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// Noon is what the clock of a run shows unless it is told another time: the
// time of the cases of plugins.
var Noon = time.Date(2026, time.November, 24, 10, 0, 0, 0, time.UTC)

// A Pipeline judges a session and its messages, as [pipeline.Pipeline] does.
type Pipeline interface {
	Asks(hook string) bool
	Ask(ctx context.Context, hook string, tx *mail.Transaction) (mail.Verdict, error)
	Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error)
}

// A Runner takes messages through a pipeline, one after the other. It is not
// safe for concurrent use.
type Runner struct {
	Pipeline Pipeline
	Recorder *Recorder // the tracer of Pipeline
	Hostname string
	Now      func() time.Time
	Where    func(*mail.Recipient) string // where a recipient's mail would go; nil: not known
	Attempt  mail.Deliverer               // asks the hooks of an attempt at what would be queued; nil: nobody is asked
}

// A Message is a message with the session that it comes in. What is not given
// is taken from the message, or made up.
type Message struct {
	Name       string // of its file
	Octets     []byte // with any line ends
	From       *mail.Path
	To         []mail.Path
	Client     netip.Addr
	ClientName string // verified; empty: it has none
	Helo       string
	Account    string // who authenticated; empty: nobody
	TLS        string // "TLSv1.3"; empty: plain text
}

// An Outcome is what became of a message.
type Outcome struct {
	Report  *report.Report
	Verdict mail.Verdict
	Reply   *smtp.Reply         // nil: it was not refused
	Queued  []*mail.Transaction // what would be queued; the first is the message itself, if it is
	Log     []string            // of all stages
}

// queueID is that of the message in a run: it is in Received:, where it must not
// cost a stage more or less.
const queueID mail.QueueID = "0MTARVN000000001"

// Run takes a message through the hooks of a session and then through the
// pipeline. The error is not a verdict: the run could not be made.
func (r *Runner) Run(ctx context.Context, m Message) (*Outcome, error) {
	octets := canonical(m.Octets)
	rep := &report.Report{Message: m.Name, Size: int64(len(octets))}
	if err := complete(&m, octets, r.Hostname, rep); err != nil {
		return nil, err
	}
	rep.From, rep.Client, rep.Helo = m.From.String(), m.Client.String(), m.Helo
	for _, to := range m.To {
		rep.To = append(rep.To, to.String())
	}
	r.Recorder.begin()
	w := &walk{Runner: r, message: &m, octets: octets, out: &Outcome{Report: rep}}
	w.session(ctx)
	rep.Steps, rep.Notes = r.Recorder.end()
	rep.Sum()
	w.conclude()
	return w.out, r.Recorder.err
}

// canonical is a message as SMTP has it: lines end in CRLF, and a mailbox
// file's "From " line is no part of it.
func canonical(b []byte) []byte {
	if bytes.HasPrefix(b, []byte("From ")) {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	var out bytes.Buffer
	out.Grow(len(b) + len(b)/32)
	for line := range bytes.Lines(b) {
		text := bytes.TrimRight(line, "\r\n")
		out.Write(text)
		out.WriteString("\r\n")
	}
	return out.Bytes()
}

// A walk is one message on its way.
type walk struct {
	*Runner
	message *Message
	octets  []byte
	out     *Outcome
	tx      *mail.Transaction
	refused []string // the recipients that were refused at RCPT, with their replies
	last    *smtp.Reply
	results map[*mail.Transaction][]mail.Result // of the attempts
}

// session plays what a client does, up to the first refusal.
func (w *walk) session(ctx context.Context) {
	m := w.message
	w.tx = &mail.Transaction{Received: w.Now(), Client: mail.Client{
		Addr: netip.AddrPortFrom(m.Client, 40000), Name: m.ClientName, Listener: mail.ListenerSMTP,
		Local: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 25),
	}}
	if m.Account != "" {
		w.tx.Client.Listener = mail.ListenerSubmission
	}
	if !w.ask(ctx, mail.HookConnect) {
		return
	}
	w.tx.Client.Helo, w.tx.Client.Extended, w.tx.Client.TLS = m.Helo, true, m.TLS
	if !w.ask(ctx, mail.HookHelo) {
		return
	}
	if w.tx.Client.Account = m.Account; m.Account != "" && !w.ask(ctx, mail.HookAuth) {
		return
	}
	w.tx.ID, w.tx.Envelope.ReversePath = queueID, *m.From
	w.tx.Envelope.UTF8 = mail.HasUTF8(m.From.String())
	if w.ask(ctx, mail.HookMail) && w.recipients(ctx) && w.ask(ctx, mail.HookData) {
		w.content(ctx)
	}
}

// ask asks a hook before the content; false: the client was refused.
func (w *walk) ask(ctx context.Context, hook string) bool {
	if !w.Pipeline.Asks(hook) {
		return true
	}
	verdict, err := w.Pipeline.Ask(ctx, hook, w.tx)
	if err != nil {
		w.refuse(verdict, err)
		return false
	}
	return true
}

func (w *walk) refuse(verdict mail.Verdict, err error) {
	w.out.Verdict, w.out.Reply = verdict, smtp.ReplyTo(err)
}

// recipients names them; false: none was taken.
func (w *walk) recipients(ctx context.Context) bool {
	for _, to := range w.message.To {
		before := w.tx.Envelope
		before.Recipients = before.Recipients[:len(before.Recipients):len(before.Recipients)]
		w.tx.Envelope.Recipients = append(before.Recipients, mail.Recipient{Path: to, Original: to})
		w.tx.Envelope.UTF8 = w.tx.Envelope.UTF8 || mail.HasUTF8(to.String())
		verdict, reply := w.askRecipient(ctx, to)
		if reply != nil || verdict == mail.Discard {
			w.tx.Envelope = before
		}
		if reply == nil {
			continue
		}
		w.refused = append(w.refused, to.String()+" was refused at RCPT: "+reply.Error())
		w.last = reply
		if verdict == mail.Disconnect {
			w.out.Verdict, w.out.Reply = verdict, reply
			return false
		}
	}
	if len(w.refused) == len(w.message.To) {
		w.out.Verdict, w.out.Reply = mail.Reject, w.last
		if w.last.Temporary() {
			w.out.Verdict = mail.Defer
		}
		return false
	}
	return true
}

// askRecipient asks about the recipient that was just named. A stage may refuse
// it by its verdict or by a reply to that recipient alone.
func (w *walk) askRecipient(ctx context.Context, to mail.Path) (mail.Verdict, *smtp.Reply) {
	if !w.Pipeline.Asks(mail.HookRcpt) {
		return mail.Continue, nil
	}
	verdict, err := w.Pipeline.Ask(ctx, mail.HookRcpt, w.tx)
	if err != nil {
		return verdict, smtp.ReplyTo(err)
	}
	for i := range w.tx.Envelope.Recipients {
		if rcpt := &w.tx.Envelope.Recipients[i]; rcpt.Refused != nil && rcpt.Original.Equal(to) {
			return mail.Reject, replyOf(rcpt.Refused)
		}
	}
	return verdict, nil
}

func replyOf(r *mail.Refusal) *smtp.Reply {
	enh, _ := smtp.ParseEnh(r.Enh)
	return &smtp.Reply{Code: r.Code, Enh: enh, Text: r.Text}
}

// content hands the content over.
func (w *walk) content(ctx context.Context) {
	if w.tx.Discard || len(w.tx.Envelope.Recipients) == 0 {
		w.out.Verdict = mail.Discard
		return
	}
	w.tx.Content = mail.Bytes(append(smtp.AppendReceived(nil, w.tx, w.Hostname, w.Now()), w.octets...))
	verdict, err := w.Pipeline.Check(ctx, w.tx)
	if err != nil {
		w.refuse(verdict, err)
		return
	}
	w.out.Verdict = verdict
	if verdict == mail.Accept || verdict == mail.Quarantine {
		w.out.Queued = append(w.out.Queued, w.tx)
	}
	w.out.Queued = append(w.out.Queued, w.tx.More...)
	w.attempt(ctx)
}

// attempt makes the first attempt at all that would be queued and is not held.
func (w *walk) attempt(ctx context.Context) {
	w.results = map[*mail.Transaction][]mail.Result{}
	if w.Attempt == nil {
		return
	}
	for _, tx := range w.out.Queued { // what comes of an attempt has none of its own
		if tx.Hold != "" || len(tx.Envelope.Recipients) == 0 {
			continue
		}
		m := &mail.Message{
			ID: tx.ID, Received: tx.Received, Client: tx.Client, Envelope: tx.Envelope, Content: tx.Content, Notes: tx.QueuedNotes,
		}
		w.results[tx] = w.Attempt.Deliver(ctx, m)
		tx.Envelope = m.Envelope
		w.out.Queued = append(w.out.Queued, m.Sends...)
	}
}

// conclude writes the end of the report.
func (w *walk) conclude() {
	rep := w.out.Report
	rep.Verdict = w.out.Verdict.String()
	if w.out.Reply != nil {
		rep.Reply = w.out.Reply.Error()
	}
	rep.Held = w.tx.Hold
	for _, tx := range w.out.Queued {
		q := queued(tx)
		for i := range tx.Envelope.Recipients {
			q.Where = append(q.Where, w.where(tx, i))
		}
		rep.Queued = append(rep.Queued, q)
	}
	if w.out.Reply == nil { // else it says so itself
		rep.Notes = append(w.refused, rep.Notes...)
	}
	for _, s := range rep.Steps {
		w.out.Log = append(w.out.Log, s.Log...)
	}
}

// where is what becomes of a recipient.
func (w *walk) where(tx *mail.Transaction, i int) string {
	if results := w.results[tx]; i < len(results) && results[i].Outcome != mail.Delivered {
		r := &results[i]
		text := string(r.Outcome)
		if r.Code != 0 {
			text += fmt.Sprintf(" %d", r.Code)
		}
		return strings.TrimSpace(strings.Join([]string{text, r.Enh, r.Text}, " "))
	}
	if w.Where == nil {
		return ""
	}
	return w.Where(&tx.Envelope.Recipients[i])
}

// queued is a transaction as a report has it.
func queued(tx *mail.Transaction) report.Queued {
	q := report.Queued{From: tx.Envelope.ReversePath.String(), By: tx.SentBy, Subject: subject(tx.Content)}
	for i := range tx.Envelope.Recipients {
		q.To = append(q.To, report.Recipient(&tx.Envelope.Recipients[i]))
	}
	return q
}

var _ Pipeline = (*pipeline.Pipeline)(nil)
