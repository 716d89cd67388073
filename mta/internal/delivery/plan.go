package delivery

import (
	"errors"
	"strings"
	"syscall"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A plan is what has to be done for the recipients that have no result yet.
type plan struct {
	copies []*localCopy
	hops   []*hop

	copyOf map[folder]*localCopy
	hopOf  map[mail.NextHop]*hop // the zero NextHop stands for nil
}

// A localCopy is one copy for the message store.
type localCopy struct {
	to    folder
	flags string
	rcpts []int // by their place in the envelope
}

type folder struct{ account, folder string }

func (f folder) String() string {
	if f.folder == "" {
		return f.account
	}
	return f.account + "/" + f.folder
}

// A hop is one call of the relay. A nil to leaves the choice to it.
type hop struct {
	to    *mail.NextHop
	rcpts []int
}

// A way is where one recipient's copy goes: to a next hop, to a folder, or
// nowhere, and then it has its result.
type way struct {
	relay  bool
	hop    *mail.NextHop // of relay; nil: the relay chooses
	to     folder
	flags  string
	result *mail.Result
}

// way decides for one recipient: what a stage refused first, then a plugin's
// route or target, the directory, the relay.
func (d *Router) way(rcpt *mail.Recipient) way {
	t := rcpt.Deliver
	switch {
	case rcpt.Refused != nil:
		return nowhere(refused(rcpt))
	case rcpt.Route != nil && t == nil:
		return way{relay: true}
	case t != nil && t.Account != "":
		return way{to: folder{t.Account, t.Folder}, flags: t.Flags}
	}
	place, err := d.Directory.Place(rcpt.Path)
	switch {
	case err != nil:
		return nowhere(unresolved(rcpt.Path, err))
	case place.Hop != nil && t == nil:
		return way{relay: true, hop: place.Hop}
	case place.Account != "" && t != nil:
		return way{to: folder{place.Account, t.Folder}, flags: t.Flags}
	case place.Account != "":
		return way{to: folder{account: place.Account}}
	case place.Local || t != nil: // a target without an account, of a recipient who has none
		return nowhere(unknown(rcpt.Path))
	}
	return way{relay: true}
}

func nowhere(r mail.Result) way { return way{result: &r} }

// plan sorts the recipients by their way.
func (d *Router) plan(m *mail.Message, results []mail.Result) *plan {
	p := &plan{copyOf: map[folder]*localCopy{}, hopOf: map[mail.NextHop]*hop{}}
	for i := range m.Envelope.Recipients {
		switch w := d.way(&m.Envelope.Recipients[i]); {
		case w.result != nil:
			results[i] = *w.result
		case w.relay:
			p.relay(i, w.hop)
		default:
			p.store(i, w.to, w.flags)
		}
	}
	return p
}

func (p *plan) store(rcpt int, to folder, flags string) {
	if strings.EqualFold(to.folder, "INBOX") {
		to.folder = ""
	}
	c := p.copyOf[to]
	if c == nil {
		c = &localCopy{to: to, flags: flags}
		p.copyOf[to] = c
		p.copies = append(p.copies, c)
	}
	c.rcpts = append(c.rcpts, rcpt)
}

func (p *plan) relay(rcpt int, to *mail.NextHop) {
	var key mail.NextHop
	if to != nil {
		key = *to
	}
	h := p.hopOf[key]
	if h == nil {
		h = &hop{to: to}
		p.hopOf[key] = h
		p.hops = append(p.hops, h)
	}
	h.rcpts = append(h.rcpts, rcpt)
}

// refused is the result of a recipient that a stage refused, after the client
// was told that the message is taken. There is no later: whatever the stage
// said, it is returned.
func refused(r *mail.Recipient) mail.Result {
	return mail.Result{
		Outcome: mail.Bounced,
		NextHop: r.Path.String(),
		Code:    r.Refused.Code,
		Enh:     r.Refused.Enh,
		Text:    r.Refused.Text,
	}
}

// unknown is the result of a recipient of ours that does not exist.
func unknown(p mail.Path) mail.Result {
	return mail.Result{
		Outcome: mail.Bounced,
		NextHop: p.String(),
		Code:    550,
		Enh:     "5.1.1",
		Text:    "<" + p.String() + ">: no such recipient",
	}
}

// unresolved is the result where the directory does not answer.
func unresolved(p mail.Path, err error) mail.Result {
	return mail.Result{
		Outcome: mail.Deferred,
		NextHop: p.String(),
		Code:    451,
		Enh:     "4.3.0",
		Text:    "Recipients cannot be looked up",
		Err:     err,
	}
}

// stored is the result of a copy for the message store. Whatever is not known
// to be final is tried again.
func stored(to folder, err error) mail.Result {
	res := mail.Result{Outcome: mail.Delivered, NextHop: to.String(), Err: err}
	if err == nil {
		res.Code, res.Enh, res.Text = 250, "2.1.5", "Delivered"
		return res
	}
	reply := storeReply(err)
	res.Outcome = mail.Deferred
	if reply.Code/100 == 5 {
		res.Outcome = mail.Bounced
	}
	res.Code, res.Enh, res.Text = reply.Code, reply.Enh.String(), reply.Text
	return res
}

func storeReply(err error) *smtp.Reply {
	if reply, ok := errors.AsType[*smtp.Reply](err); ok {
		return reply
	}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return &smtp.Reply{Code: 452, Enh: smtp.Enh{4, 3, 1}, Text: "No space left for mailboxes"}
	case errors.Is(err, syscall.EDQUOT):
		return &smtp.Reply{Code: 452, Enh: smtp.Enh{4, 2, 2}, Text: "Mailbox is full"}
	}
	return &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 2, 0}, Text: "Mailbox cannot be written to"}
}
