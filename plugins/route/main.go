// Route is a plugin that decides by rules where mail goes: to a folder, to a
// host, to another recipient, or nowhere. See README.md.
package main

import mta "github.com/wasmta/wasmta/sdk/go"

func init() {
	var r *router
	mta.OnLoad(func() (err error) {
		r, err = load()
		return err
	})
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		if len(r.rules) == 0 {
			return mta.Continue
		}
		v, err := r.route(m)
		if err != nil {
			return mta.Fail(err)
		}
		return v
	})
}

func main() {}

// A traveller is a recipient on its way through the rules.
type traveller struct {
	rcpt    mta.Recipient
	address address
	settled bool // a rule without continue matched: no other one is asked
	gone    bool // discarded
	matched bool // by the rule in hand
	groups  []string
}

// A journey is one message on its way through the rules.
type journey struct {
	facts
	rcpts []traveller
}

// route asks the rules in order. Each recipient goes through them by itself,
// and stops at the first that matches and has no continue.
func (r *router) route(m *mta.Message) (mta.Verdict, error) {
	j := &journey{facts: facts{m: m, separator: r.separator, zone: r.zone}}
	for _, rcpt := range m.Recipients() {
		j.rcpts = append(j.rcpts, traveller{rcpt: rcpt, address: split(rcpt.Address(), r.separator)})
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if !j.match(rule) {
			continue
		}
		mta.Debug("rule matched", "rule", rule.label)
		v, err := j.do(rule)
		if err != nil || v != mta.Continue || j.done() {
			return v, err
		}
	}
	return mta.Continue, nil
}

// match marks the recipients that a rule is for, and tells whether there are
// any.
func (j *journey) match(rule *rule) bool {
	if j.done() || !rule.If.matchMessage(&j.facts) {
		return false
	}
	except := rule.Unless
	if except != nil && !except.matchMessage(&j.facts) {
		except = nil
	}
	if except != nil && !except.aboutRecipients() {
		return false
	}
	found := false
	for i := range j.rcpts {
		t := &j.rcpts[i]
		t.matched = false
		if t.settled || t.gone {
			continue
		}
		t.groups, t.matched = rule.If.matchRecipient(t.address)
		if t.matched && except != nil {
			_, excepted := except.matchRecipient(t.address)
			t.matched = !excepted
		}
		found = found || t.matched
	}
	return found
}

// done tells whether every recipient is settled.
func (j *journey) done() bool {
	for i := range j.rcpts {
		if t := &j.rcpts[i]; !t.settled && !t.gone {
			return false
		}
	}
	return true
}

// do does what a rule says for the recipients that it matched.
func (j *journey) do(rule *rule) (mta.Verdict, error) {
	switch {
	case rule.Reject != nil:
		return j.refuse(rule.Reject, mta.Reject)
	case rule.Defer != nil:
		return j.refuse(rule.Defer, mta.Defer)
	case rule.Discard:
		return j.discard()
	}
	if rule.Quarantine != "" {
		if err := j.m.Quarantine(rule.Quarantine); err != nil {
			return mta.Continue, err
		}
	}
	for i := range j.rcpts {
		t := &j.rcpts[i]
		if !t.matched {
			continue
		}
		if err := j.place(rule, t); err != nil {
			return mta.Continue, err
		}
		t.settled = !rule.Continue
	}
	return mta.Continue, nil
}

// place does what a rule says for one recipient.
func (j *journey) place(rule *rule, t *traveller) error {
	for _, a := range rule.Add {
		if _, err := j.m.AddRecipient(a.fill(t.address, t.groups, addressPart)); err != nil {
			return err
		}
	}
	if to := rule.Deliver; to != nil {
		if err := t.rcpt.Deliver(to.mailbox(t)); err != nil {
			return err
		}
	}
	if rule.Relay != nil {
		if err := t.rcpt.Route(rule.Relay.next()); err != nil {
			return err
		}
	}
	if rule.Rewrite == nil {
		return nil
	}
	to := rule.Rewrite.to.fill(t.address, t.groups, addressPart)
	t.address = split(to, j.separator)
	return t.rcpt.Set(to)
}

func (f *folder) mailbox(t *traveller) mta.Mailbox {
	return mta.Mailbox{
		Folder:  f.folder.fill(t.address, t.groups, folderPart),
		Account: f.account.fill(t.address, t.groups, addressPart),
		Flags:   f.Flags,
	}
}

// refuse refuses the matched recipients alone, and the whole message if all of
// them match.
func (j *journey) refuse(r *refusal, whole func(code int, enhanced, text string) mta.Verdict) (mta.Verdict, error) {
	if j.allMatched() {
		return whole(r.Code, r.Enhanced, r.Text), nil
	}
	for i := range j.rcpts {
		t := &j.rcpts[i]
		if !t.matched {
			continue
		}
		if t.rcpt.Refuse(r.Code, r.Enhanced, r.Text) != nil {
			return whole(r.Code, r.Enhanced, r.Text), nil
		}
		t.settled = true
	}
	return mta.Continue, nil
}

func (j *journey) allMatched() bool {
	for i := range j.rcpts {
		if t := &j.rcpts[i]; !t.matched && !t.gone {
			return false
		}
	}
	return true
}

// discard drops the matched recipients, and the message once none is left.
func (j *journey) discard() (mta.Verdict, error) {
	left := false
	for i := range j.rcpts {
		t := &j.rcpts[i]
		t.gone = t.gone || t.matched
		left = left || !t.gone
	}
	if !left {
		return mta.Discard, nil
	}
	for i := range j.rcpts {
		if t := &j.rcpts[i]; t.matched {
			if err := t.rcpt.Remove(); err != nil {
				return mta.Continue, err
			}
		}
	}
	return mta.Continue, nil
}
