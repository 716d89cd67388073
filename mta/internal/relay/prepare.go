package relay

import (
	"errors"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/relay/verp"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// prepare makes the envelope and content of the next transaction: as many of
// the recipients to do as it may have, in the form that the peer can take.
// Those that it cannot take in any form get their result here.
func (w *work) prepare() (*mail.Envelope, mail.Content, []int) {
	o := w.c.Offer()
	utf8 := o.Has("SMTPUTF8")
	all := &w.m.Envelope
	if all.ReversePath.NeedsUTF8() && !utf8 {
		w.bounce(w.todo, noUTF8)
		w.todo = nil
		return nil, nil, nil
	}
	env := &mail.Envelope{ReversePath: all.ReversePath, Ret: all.Ret, EnvID: all.EnvID, RequireTLS: all.RequireTLS}
	env.UTF8 = utf8 && (all.UTF8 || all.ReversePath.NeedsUTF8())
	batch := w.batch(env, utf8)
	if len(batch) == 0 {
		return nil, nil, nil
	}
	if w.silent(batch[0]) {
		env.ReversePath = mail.Path{}
	}
	if w.VERP.Has(env.ReversePath) && !w.c.isLMTP() {
		env.ReversePath = verp.For(env.ReversePath, env.Recipients[0].Path)
	}
	content, body, err := w.form(utf8)
	if err != nil {
		for _, i := range batch {
			w.results[i] = w.unsendable(err)
		}
		return nil, nil, nil
	}
	env.Body = body
	return env, content, batch
}

// form is the content as the next hop takes it, and what BODY says of it. A
// header section in UTF-8, which the client announced, is converted where
// SMTPUTF8 is not offered (RFC 6531 §3.2), and the rest with it.
func (w *work) form(utf8 bool) (mail.Content, mail.Body, error) {
	takes := accepts{eight: w.c.Offer().Has("8BITMIME"), binary: w.c.TakesBinary()}
	if w.m.Envelope.UTF8 && !utf8 {
		header, err := w.body.hasUTF8()
		if err != nil {
			return nil, "", err
		}
		if header {
			takes = accepts{}
		}
	}
	return w.body.form(takes, w.m.Envelope.Body)
}

// silent tells whether the next hop may only know the null reverse-path for a
// recipient: NOTIFY=NEVER cannot be said to it (RFC 3461 §5.2.2).
func (w *work) silent(rcpt int) bool {
	return w.m.Envelope.Recipients[rcpt].Notify&mail.NotifyNever != 0 && !w.c.Offer().Has("DSN") && !w.c.isLMTP()
}

// batch moves recipients from those to do into env.
func (w *work) batch(env *mail.Envelope, utf8 bool) []int {
	limit := or(w.MaxRecipients, DefaultMaxRecipients)
	if n := w.c.Offer().RcptMax; n > 0 {
		limit = min(limit, n)
	}
	if w.VERP.Has(env.ReversePath) && !w.c.isLMTP() {
		limit = 1
	}
	var batch []int
	for len(w.todo) > 0 && len(batch) < limit {
		i := w.todo[0]
		if len(batch) > 0 && w.silent(i) != w.silent(batch[0]) {
			break // they go in a transaction of their own
		}
		w.todo = w.todo[1:]
		rcpt := &w.m.Envelope.Recipients[i]
		if rcpt.Path.NeedsUTF8() {
			if !utf8 {
				w.bounce([]int{i}, noUTF8)
				continue
			}
			env.UTF8 = true
		}
		env.Recipients = append(env.Recipients, *rcpt)
		batch = append(batch, i)
	}
	return batch
}

// noUTF8 is the result of an address that the next hop cannot be told
// (RFC 6531 §3.2).
var noUTF8 = bounced(553, "5.6.7", "the next hop does not take internationalized addresses")

func (w *work) bounce(rcpts []int, res mail.Result) {
	res.NextHop = w.c.name
	for _, i := range rcpts {
		w.results[i] = res
	}
}

// unsendable is the result of a message that was not sent because of what it
// is.
func (w *work) unsendable(err error) mail.Result {
	var res mail.Result
	switch {
	case errors.Is(err, smtpc.ErrSize):
		res = bounced(552, "5.3.4", err.Error())
	case errors.Is(err, smtpc.ErrUTF8):
		res = noUTF8
	case errors.Is(err, smtpc.ErrPath):
		res = bounced(553, "5.1.3", err.Error())
	case errors.Is(err, smtpc.Err8Bit):
		res = bounced(554, "5.6.3", "the next hop takes 7-bit content only, and this one cannot be converted")
	default:
		res = deferred(451, "4.3.0", "content cannot be read", err)
	}
	res.NextHop = w.c.name
	return res
}
