package cases

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// Transaction is a case as the pipeline hands it to a guest.
func Transaction(c *testcase.Case) (*mail.Transaction, error) {
	x := &c.Context
	tx := &mail.Transaction{
		ID: mail.QueueID(x.Queue.ID), Received: x.Queue.Received, Attempts: x.Queue.Attempts,
		Client: mail.Client{
			Addr: netip.AddrPortFrom(x.Client.IP, x.Client.Port), Local: netip.AddrPortFrom(x.Server.IP, x.Server.Port),
			Name: x.Client.PTR, Helo: x.Client.EHLO, Extended: true, Listener: mail.Listener(x.Server.Listener),
		},
		Envelope:     mail.Envelope{Body: mail.Body(x.Envelope.Body), UTF8: x.Envelope.UTF8, Ret: x.Envelope.Ret, EnvID: x.Envelope.EnvID},
		SessionNotes: c.SessionNotes, Notes: c.Notes, QueuedNotes: c.QueuedNotes,
	}
	if x.Auth != nil {
		tx.Client.Account = x.Auth.Login
	}
	if x.TLS != nil {
		tx.Client.TLS, tx.Client.Cipher = x.TLS.Version, x.TLS.Cipher
	}
	if !beforeContent[c.Hook] {
		tx.Content = mail.Bytes(c.Message)
	}
	var err error
	if tx.Envelope.ReversePath, err = mail.ParsePath(c.Sender()); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	for _, known := range c.Recipients() {
		r, err := recipientOf(known)
		if err != nil {
			return nil, fmt.Errorf("to: %w", err)
		}
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, r)
	}
	return tx, nil
}

// beforeContent are the hooks at which there is no content yet.
var beforeContent = map[string]bool{
	abi.HookConnect: true, abi.HookHelo: true, abi.HookAuth: true, abi.HookMail: true, abi.HookRcpt: true, abi.HookData: true, abi.HookDisconnect: true,
}

func recipientOf(known host.Recipient) (r mail.Recipient, err error) {
	if r.Path, err = mail.ParsePath(known.Address); err != nil {
		return r, err
	}
	if r.Original, err = mail.ParsePath(known.Original); err != nil {
		return r, err
	}
	r.ORCPT, r.Notify, r.Resolved = known.ORCPT, notifyOf(known.Notify), known.Resolved
	if known.Status != "" || known.LastReply != "" {
		r.Last = lastOf(known)
	}
	return r, nil
}

// lastOf is what the last attempt said of a recipient.
func lastOf(known host.Recipient) *mail.Result {
	last := &mail.Result{Outcome: mail.Outcome(known.Status), Text: known.LastReply}
	if code, rest, _ := strings.Cut(known.LastReply, " "); len(code) == 3 {
		if n, err := strconv.Atoi(code); err == nil {
			last.Code, last.Text = n, rest
		}
	}
	return last
}

var notifies = map[string]mail.Notify{
	"NEVER": mail.NotifyNever, "SUCCESS": mail.NotifySuccess, "FAILURE": mail.NotifyFailure, "DELAY": mail.NotifyDelay,
}

func notifyOf(s string) (n mail.Notify) {
	for word := range strings.SplitSeq(s, ",") {
		n |= notifies[strings.ToUpper(strings.TrimSpace(word))]
	}
	return n
}

// resultOf is what the pipeline has after the hook.
func resultOf(c *testcase.Case, a *mail.Answer, tx *mail.Transaction) (testcase.Result, error) {
	r := testcase.Result{
		Verdict: a.Verdict.String(), Reason: a.Reason, From: tx.Envelope.ReversePath.String(), To: recipients(tx), Message: c.Message,
		SessionNotes: set(c.SessionNotes, tx.SessionNotes), Notes: set(c.Notes, tx.Notes), QueuedNotes: set(c.QueuedNotes, tx.QueuedNotes),
	}
	if a.NotAgain {
		r.Verdict = abi.NotAgain.String()
	}
	if a.Code != 0 {
		r.Reply = &host.Reply{Code: a.Code, Enhanced: a.Enh, Text: a.Text}
	}
	var err error
	if tx.Content != nil {
		if r.Message, err = octets(tx.Content); err != nil {
			return r, err
		}
	}
	for _, v := range a.Variants {
		message, err := octets(v.Content)
		if err != nil {
			return r, err
		}
		r.Variants = append(r.Variants, testcase.Variant{To: recipients(v), Message: message})
	}
	for _, s := range a.Sends {
		message, err := octets(s.Content)
		if err != nil {
			return r, err
		}
		sent := host.Sent{Sender: s.Envelope.ReversePath.String(), Octets: message}
		for _, to := range s.Envelope.Recipients {
			sent.Recipients = append(sent.Recipients, to.Path.String())
		}
		r.Sends = append(r.Sends, sent)
	}
	return r, nil
}

// set are notes that a hook left; nil if it left them alone.
func set(before, after map[string]string) map[string]string {
	if maps.Equal(before, after) {
		return nil
	}
	return after
}

// octets are those of a content, and not its own.
func octets(c mail.Content) ([]byte, error) {
	b, err := mail.ReadAll(c)
	return slices.Clone(b), err
}

func recipients(tx *mail.Transaction) []host.Recipient {
	out := make([]host.Recipient, 0, len(tx.Envelope.Recipients))
	for _, r := range tx.Envelope.Recipients {
		h := host.Recipient{Address: r.Path.String(), Original: r.Original.String(), RetryAt: r.RetryAt}
		if n := r.Route; n != nil {
			h.Route = &host.Route{Host: n.Host, Port: n.Port, RequireTLS: n.RequireTLS, NoMX: n.NoMX}
		}
		if d := r.Deliver; d != nil {
			h.Deliver = &host.Target{Account: d.Account, Folder: d.Folder, Flags: d.Flags}
		}
		if no := r.Refused; no != nil {
			h.Reply = &host.Reply{Code: no.Code, Enhanced: no.Enh, Text: no.Text}
		}
		out = append(out, h)
	}
	return out
}
