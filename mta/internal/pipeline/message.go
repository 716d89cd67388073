package pipeline

import (
	"context"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/origin"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// Check asks the stages about tx, whose content is there, each seeing what the
// one before left: all of them on_headers, then all of them on_message. The
// verdict is one of
//
//   - Accept: queue it, with the edits that are in tx and with tx.More. Some
//     recipients may be Refused: whoever knows how to tell the client does so;
//   - Quarantine: the same, and tx.Hold says why it is to be held;
//   - Discard: answer 250 and drop it;
//   - Reject, Defer, Disconnect: the error is the [*smtp.Reply] to give. A
//     recipient that is Refused has a reply of its own, where there is a way to
//     give it. Nothing is to be queued.
//
// A stage that makes variants divides the message: each part goes through the
// stages that are left on its own, with an ID of its own. What a stage refuses,
// one recipient or a whole part, later stages do not see.
func (p *Pipeline) Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	p.setup()
	if tx.Discard {
		return mail.Discard, nil
	}
	c := &passage{p: p, root: tx}
	for next := []part{{tx: tx}}; len(next) > 0; next = next[1:] {
		pt := next[0]
		pt.setAside() // hooks before the content may have refused some
		next = append(next, c.pass(ctx, &pt)...)
		c.done = append(c.done, pt)
	}
	return c.end()
}

// A passage is one message on its way through the stages.
type passage struct {
	p     *Pipeline
	root  *mail.Transaction
	done  []part
	sends []*mail.Transaction
	made  int             // variants and messages sent, by all stages
	said  []*mail.Refusal // what the sender is to hear of those that are refused
}

// A part is a transaction that goes through the stages by itself: the message,
// or a variant of it.
type part struct {
	tx      *mail.Transaction
	next    int              // the step that comes
	refused []mail.Recipient // no longer in tx
	empty   bool             // all its recipients went into variants
	verdict mail.Verdict     // Continue until a stage ends it
	reply   *smtp.Reply      // with Reject, Defer and Disconnect
}

// pass takes a part through the stages that are left. It returns the parts
// that were divided from it.
func (c *passage) pass(ctx context.Context, pt *part) (divided []part) {
	for !pt.ended() && pt.next < len(c.p.steps) {
		s := c.p.steps[pt.next]
		pt.tx.Together = c.made
		r := c.p.stage(ctx, s, pt.tx)
		c.made += len(r.variants) + len(r.sends)
		pt.take(r, s, c.p.steps)
		divided = append(divided, c.divide(pt, s, r.variants)...)
		c.originate(s, r.sends)
	}
	return divided
}

func (pt *part) ended() bool { return pt.verdict != mail.Continue || pt.empty }

// take draws the consequences of a stage's result.
func (pt *part) take(r result, s step, steps []step) {
	pt.next++
	pt.reply = r.reply
	switch {
	case r.reply != nil || r.verdict == mail.Discard:
		pt.verdict = r.verdict
	case r.verdict == mail.Accept:
		for pt.next < len(steps) && steps[pt.next].hook == s.hook {
			pt.next++
		}
	}
	pt.setAside()
}

// setAside takes the recipients that were refused out of the envelope. If
// nobody else is left there is nothing more to ask.
func (pt *part) setAside() {
	isRefused := func(r mail.Recipient) bool { return r.Refused != nil }
	all := pt.tx.Envelope.Recipients
	if !slices.ContainsFunc(all, isRefused) {
		return
	}
	kept := make([]mail.Recipient, 0, len(all))
	for _, r := range all {
		if isRefused(r) {
			pt.refused = append(pt.refused, r)
		} else {
			kept = append(kept, r)
		}
	}
	pt.tx.Envelope.Recipients = kept
	if len(kept) == 0 && pt.verdict == mail.Continue {
		pt.verdict = mail.Accept
	}
}

// divide makes parts of the variants that a stage made. They go on where the
// part does from that it came from.
func (c *passage) divide(from *part, s step, variants []*mail.Transaction) []part {
	if len(variants) == 0 {
		return nil
	}
	parts := make([]part, 0, len(variants))
	into := make([]mail.QueueID, 0, len(variants))
	for _, v := range variants {
		v.ID = mail.NewQueueIDBeside(time.Now(), c.root.ID)
		into = append(into, v.ID)
		parts = append(parts, part{tx: v, next: from.next, verdict: from.verdict, reply: from.reply})
	}
	c.p.logger().Info("divided", "queue_id", from.tx.ID, "stage", s.m.Name, "into", into)
	from.empty = len(from.tx.Envelope.Recipients)+len(from.refused) == 0
	return parts
}

// originate completes what a stage sends.
func (c *passage) originate(s step, sends []*mail.Transaction) {
	for _, tx := range sends {
		if err := origin.Complete(tx, origin.Source{Hostname: c.p.Hostname, Stage: s.m.Name, Beside: c.root.ID}); err != nil {
			c.p.logger().Warn("not sent", "queue_id", c.root.ID, "stage", s.m.Name, "reverse_path", tx.Envelope.ReversePath.String(), "err", err)
			continue
		}
		c.sends = append(c.sends, tx)
	}
}

// end combines what became of the parts.
func (c *passage) end() (mail.Verdict, error) {
	if len(c.done) == 1 && len(c.done[0].refused)+len(c.sends) == 0 {
		return c.p.endWhole(&c.done[0])
	}
	for i := range c.done {
		if pt := &c.done[i]; pt.verdict == mail.Disconnect {
			return pt.verdict, pt.reply
		}
	}
	taken := false
	for i := range c.done {
		taken = c.settle(&c.done[i]) || taken
	}
	c.gather()
	if !taken {
		return c.refusal()
	}
	return verdictOn(c.root), nil
}

// endWhole is the verdict on a message that was not divided and of which no
// recipient was refused alone.
func (p *Pipeline) endWhole(pt *part) (mail.Verdict, error) {
	switch {
	case pt.reply != nil:
		return pt.verdict, pt.reply
	case pt.verdict == mail.Discard:
		return mail.Discard, nil
	case len(pt.tx.Envelope.Recipients) == 0:
		p.logger().Info("judged", "queue_id", pt.tx.ID, "verdict", mail.Discard.String(), "reason", "no recipient is left")
	}
	return verdictOn(pt.tx), nil
}

// verdictOn is the verdict on a message that was not refused.
func verdictOn(tx *mail.Transaction) mail.Verdict {
	switch {
	case len(tx.Envelope.Recipients)+len(tx.More) == 0:
		return mail.Discard
	case tx.Hold != "" && len(tx.Envelope.Recipients) > 0:
		return mail.Quarantine
	}
	return mail.Accept
}

// settle leaves in a part's envelope those that there is something to do for,
// and tells whether the part was taken, if only to be dropped.
func (c *passage) settle(pt *part) (taken bool) {
	env := &pt.tx.Envelope
	for i := range pt.refused {
		c.said = append(c.said, pt.refused[i].Refused)
	}
	switch {
	case pt.empty:
	case pt.reply != nil:
		r := refusal(pt.reply)
		for i := range env.Recipients {
			env.Recipients[i].Refused = r
		}
		c.said = append(c.said, r)
	case pt.verdict == mail.Discard:
		env.Recipients, taken = nil, true
	default:
		taken = len(env.Recipients) > 0 || len(pt.refused) == 0
	}
	return taken
}

// gather puts what is to be queued into root. The client is told root's ID, so
// that one is a part's if root itself has nobody left.
func (c *passage) gather() {
	var parts []*mail.Transaction
	for i := range c.done {
		pt := &c.done[i]
		live := 0
		if pt.reply == nil {
			live = len(pt.tx.Envelope.Recipients)
		}
		if live > 0 && pt.tx.Hold != "" && len(pt.refused) > 0 {
			// The sender hears of a refusal now, not when an operator has
			// looked at the rest.
			told := pt.tx.Fork()
			told.ID, told.Hold = mail.NewQueueIDBeside(time.Now(), c.root.ID), ""
			told.Envelope.Recipients = pt.refused
			parts = append(parts, pt.tx, told)
			continue
		}
		pt.tx.Envelope.Recipients = append(pt.tx.Envelope.Recipients, pt.refused...)
		if live == 0 {
			pt.tx.Hold = "" // nothing is left to be held
		}
		if len(pt.tx.Envelope.Recipients) > 0 {
			parts = append(parts, pt.tx)
		}
	}
	if len(parts) > 0 {
		id := c.root.ID
		if parts[0] != c.root {
			*c.root = *parts[0]
			c.root.ID = id
		}
		parts = parts[1:]
	}
	c.root.More = append(parts, c.sends...)
}

// refusal is the verdict where nobody is left: for now if any of them is
// refused for now. Its words are the first one's.
func (c *passage) refusal() (mail.Verdict, error) {
	first, verdict := c.said[0], mail.Reject
	for _, r := range c.said {
		if r.Code < 500 {
			first, verdict = r, mail.Defer
			break
		}
	}
	enh, _ := smtp.ParseEnh(first.Enh)
	return verdict, &smtp.Reply{Code: first.Code, Enh: enh, Text: first.Text}
}
