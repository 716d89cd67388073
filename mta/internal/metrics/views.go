package metrics

import (
	"strconv"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// class is "2xx" for 250. It is never anything but 2xx to 5xx.
func class(code int) string {
	switch c := code / 100; c {
	case 2, 3, 4, 5:
		return strconv.Itoa(c) + "xx"
	}
	return "other"
}

// SMTP is the view of SMTP, LMTP and submission sessions.
type SMTP struct{ set *Set }

// SMTP returns the view of smtpd.
func (s *Set) SMTP() SMTP { return SMTP{s} }

// SessionOpened counts a session.
func (v SMTP) SessionOpened(l mail.Listener) { v.set.opened(string(l)) }

// SessionClosed ends what SessionOpened began.
func (v SMTP) SessionClosed(l mail.Listener) { v.set.closed(string(l)) }

// Refused counts a reply of the classes 4 and 5.
func (v SMTP) Refused(l mail.Listener, code int) {
	v.set.refusals.WithLabelValues(string(l), class(code)).Inc()
}

// Received counts a message that was received in full and answered.
func (v SMTP) Received(l mail.Listener, code int, size int64, took time.Duration) {
	v.set.messages.WithLabelValues(string(l), class(code)).Inc()
	v.set.replyTime.WithLabelValues(string(l)).Observe(took.Seconds())
	if code/100 == 2 {
		v.set.bytes.WithLabelValues(string(l)).Add(float64(size))
	}
}

func (s *Set) opened(listener string) {
	s.sessionsOpen.WithLabelValues(listener).Inc()
	s.sessions.WithLabelValues(listener).Inc()
}

func (s *Set) closed(listener string) { s.sessionsOpen.WithLabelValues(listener).Dec() }

// Reading is the view of sessions that read mail.
type Reading struct {
	set      *Set
	protocol string
}

// POP3 returns the view of pop3d.
func (s *Set) POP3() Reading { return Reading{s, "pop3"} }

// IMAP returns the view of imapd.
func (s *Set) IMAP() Reading { return Reading{s, "imap"} }

// SessionOpened counts a session.
func (v Reading) SessionOpened() { v.set.opened(v.protocol) }

// SessionClosed ends what SessionOpened began.
func (v Reading) SessionClosed() { v.set.closed(v.protocol) }

// Login counts an attempt to log in.
func (v Reading) Login(ok bool) { v.set.login(v.protocol, ok) }

// LoggedIn counts an attempt to log in over a protocol that has no view with
// Login: "smtp". Protocols are few and fixed.
func (s *Set) LoggedIn(protocol string, ok bool) { s.login(protocol, ok) }

func (s *Set) login(protocol string, ok bool) {
	result := "refused"
	if ok {
		result = "ok"
	}
	s.logins.WithLabelValues(protocol, result).Inc()
}

// Pipeline is the view of the stages.
type Pipeline struct{ set *Set }

// Pipeline returns the view of pipeline.
func (s *Set) Pipeline() Pipeline { return Pipeline{s} }

// Staged counts what became of a message at a stage. outcome is one of a few
// words: a verdict, "skipped", "tripped" or "failed". Not being asked takes no
// time to speak of.
func (v Pipeline) Staged(stage, outcome string, took time.Duration) {
	v.set.stages.WithLabelValues(stage, outcome).Inc()
	if outcome != "skipped" && outcome != "tripped" {
		v.set.stageTime.WithLabelValues(stage).Observe(took.Seconds())
	}
}

// Tripped says that a stage is left alone from now on, or is asked again.
func (v Pipeline) Tripped(stage string, is bool) {
	if !is {
		v.set.tripped.WithLabelValues(stage).Set(0)
		return
	}
	v.set.tripped.WithLabelValues(stage).Set(1)
	v.set.trips.WithLabelValues(stage).Inc()
}

// Queue is the view of queued messages.
type Queue struct{ set *Set }

// Queue returns the view of queue.
func (s *Set) Queue() Queue { return Queue{s} }

// Queued counts a message put into the queue.
func (v Queue) Queued(size int64) {
	v.set.queued.Inc()
	v.set.queuedBytes.Add(float64(size))
}

// Attempted counts the outcome of an attempt for one recipient. delay is the
// time since the message was received.
func (v Queue) Attempted(_ string, outcome mail.Outcome, delay time.Duration) {
	label := known(outcome)
	v.set.attempts.WithLabelValues(label).Inc()
	if label != string(mail.Deferred) {
		v.set.delay.WithLabelValues(label).Observe(delay.Seconds())
	}
}

// Notified counts a DSN put into the queue. action is one of a few words.
func (v Queue) Notified(action string) { v.set.notified.WithLabelValues(action).Inc() }

// Delivery is the view of deliveries to the message store.
type Delivery struct{ set *Set }

// Delivery returns the view of delivery.
func (s *Set) Delivery() Delivery { return Delivery{s} }

// Stored counts one copy for the message store.
func (v Delivery) Stored(outcome mail.Outcome, took time.Duration) {
	v.set.mailboxes.WithLabelValues(known(outcome)).Inc()
	v.set.mailboxTime.Observe(took.Seconds())
}

// Relay is the view of relaying.
type Relay struct{ set *Set }

// Relay returns the view of relay.
func (s *Set) Relay() Relay { return Relay{s} }

// Connected counts a connection that is about to be used.
func (v Relay) Connected(_ string, reused bool) {
	v.set.relayConnections.WithLabelValues(strconv.FormatBool(reused)).Inc()
}

// Attempted counts the result of one recipient.
func (v Relay) Attempted(_ string, outcome mail.Outcome, took time.Duration) {
	v.set.relayed.WithLabelValues(known(outcome)).Inc()
	v.set.relayTime.Observe(took.Seconds())
}

// Secured counts TLS with a host that DNS named. Both labels are words of
// RFC 8460; no failure is "none".
func (v Relay) Secured(policy, failure string) {
	if failure == "" {
		failure = "none"
	}
	v.set.relayTLS.WithLabelValues(policy, failure).Inc()
}

// Unanswered counts a recipient whose next hop may have a message that it did
// not answer for.
func (v Relay) Unanswered(string) { v.set.relayUnanswered.Inc() }

// known is the outcome as a label; the zero one counts as deferred.
func known(o mail.Outcome) string {
	switch o {
	case mail.Delivered, mail.Relayed, mail.Bounced, mail.Expired, mail.Discarded:
		return string(o)
	}
	return string(mail.Deferred)
}

// Operator is the view of what operators do.
type Operator struct{ set *Set }

// Operator returns the view of admin.
func (s *Set) Operator() Operator { return Operator{s} }

// Operated counts one thing that an operator did, and the messages that it was
// done to. action is one of a few words.
func (v Operator) Operated(action string, messages int) {
	v.set.operated.WithLabelValues(action).Inc()
	v.set.operatedMessages.WithLabelValues(action).Add(float64(messages))
}
