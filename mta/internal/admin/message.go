package admin

import (
	"cmp"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A Message is one queued message as an operator sees it. The first fields have
// the names and meanings of `postqueue -j` of Postfix, for the scripts that
// read it.
type Message struct {
	QueueName     string       `json:"queue_name" enum:"incoming,active,deferred,hold" doc:"Where Postfix would have it: incoming before the first attempt, deferred after it."`
	ID            mail.QueueID `json:"queue_id" doc:"The queue ID; no other message ever has it."`
	ArrivalTime   int64        `json:"arrival_time" doc:"When it was received, in seconds since 1970."`
	MessageSize   int64        `json:"message_size" doc:"Octets of its content."`
	ForcedExpire  bool         `json:"forced_expire" doc:"Always false: a message that is returned by hand is gone at once."`
	Sender        string       `json:"sender" doc:"The reverse-path; MAILER-DAEMON for the null one."`
	Recipients    []Recipient  `json:"recipients" doc:"Those without an outcome yet."`
	State         queue.State  `json:"state" enum:"waiting,active,held" doc:"Waiting for its next attempt, in an attempt, or held until an operator decides."`
	Received      time.Time    `json:"received" doc:"When it was received."`
	ReversePath   mail.Path    `json:"reverse_path" doc:"The reverse-path; empty for the null one."`
	Client        mail.Client  `json:"client" doc:"Who handed it in; empty for what was made here."`
	Done          int          `json:"done" doc:"How many recipients have an outcome."`
	Attempts      int          `json:"attempts" doc:"Attempts made."`
	NextTry       time.Time    `json:"next_try,omitzero" doc:"When the next attempt is due; not there while it is held."`
	Held          string       `json:"held,omitempty" doc:"Why it is held."`
	Lane          string       `json:"lane,omitempty" doc:"The next hop that it waits for, if it is one for all recipients."`
	Notice        string       `json:"notice,omitempty" doc:"What it reports, if it is a DSN of this server."`
	Damaged       bool         `json:"damaged,omitempty" doc:"Its record cannot be read; it can be dropped."`
	WaitingReason string       `json:"waiting_reason,omitempty" doc:"Why it is not being attempted now. Only of a message asked for by its ID."`
	Lanes         []Lane       `json:"lanes,omitempty" doc:"How the next hops of its recipients stand. Only of a message asked for by its ID."`
}

// A Recipient is one forward-path of a queued message, with what the last
// attempt said of it.
type Recipient struct {
	Address     mail.Path `json:"address" doc:"The forward-path."`
	DelayReason string    `json:"delay_reason,omitempty" doc:"What the last attempt said."`
	Original    mail.Path `json:"original" doc:"The forward-path as RCPT gave it."`
	At          time.Time `json:"attempted,omitzero" doc:"When the last attempt was."`
	NextHop     string    `json:"next_hop,omitempty" doc:"Where it was: the host, or the mailbox."`
	Route       string    `json:"route,omitempty" doc:"Where it goes, if an operator or a stage said so."`
	RetryAt     time.Time `json:"retry_at,omitzero" doc:"Not to be attempted before."`
}

// A Lane is how a next hop stands at this node.
type Lane struct {
	Name    string    `json:"lane" doc:"The next hop."`
	State   string    `json:"state" enum:"new,open,down,probe" doc:"Not known yet, answering, not to be reached, or being tried by one message."`
	Active  int       `json:"active" doc:"Attempts under way."`
	Limit   int       `json:"limit" doc:"Attempts at once, as things are."`
	Waiting int       `json:"waiting" doc:"Messages in memory, next in line."`
	Since   time.Time `json:"since,omitzero" doc:"When it went down."`
	Until   time.Time `json:"until,omitzero" doc:"When it is tried again."`
	Reason  string    `json:"reason,omitempty" doc:"Why it is down."`
}

func newMessage(e *queue.Entry, now time.Time) Message {
	m := Message{
		ID: e.ID, ArrivalTime: e.Received.Unix(), MessageSize: e.Size, State: e.State(now), Received: e.Received, Client: e.Client,
		Sender: cmp.Or(e.Envelope.ReversePath.String(), "MAILER-DAEMON"), ReversePath: e.Envelope.ReversePath,
		Done: e.Done, Attempts: e.Attempts, Held: e.Held, Lane: e.Lane, Notice: string(e.Notice), Damaged: e.Damaged,
		Recipients: make([]Recipient, 0, len(e.Envelope.Recipients)),
	}
	m.QueueName = queueName(m.State, e.Attempts)
	if m.State != queue.Held {
		m.NextTry = e.Due
	}
	for i, rcpt := range e.Envelope.Recipients {
		r := Recipient{Address: rcpt.Path, Original: rcpt.Original, DelayReason: e.Reply(i), RetryAt: rcpt.RetryAt}
		if i < len(e.Last) {
			r.At, r.NextHop = e.Last[i].At, e.Last[i].NextHop
		}
		if rcpt.Route != nil {
			r.Route = rcpt.Route.String()
		}
		m.Recipients = append(m.Recipients, r)
	}
	return m
}

// queueName is the queue of Postfix in which such a message would be.
func queueName(s queue.State, attempts int) string {
	switch {
	case s == queue.Active:
		return "active"
	case s == queue.Held:
		return "hold"
	case attempts == 0:
		return "incoming"
	}
	return "deferred"
}

func newLane(l queue.LaneStatus) Lane {
	return Lane{
		Name: l.Lane, State: string(l.State), Active: l.Active, Limit: l.Limit, Waiting: l.Waiting,
		Since: l.Since, Until: l.Until, Reason: l.Reason,
	}
}

// explain says why a message is not being attempted.
func (m *Message) explain(lanes []Lane, now time.Time) {
	m.Lanes = lanes
	switch {
	case m.State == queue.Active:
		return
	case m.State == queue.Held:
		m.WaitingReason = "it is held until an operator decides: " + m.Held
		return
	case m.NextTry.After(now):
		m.WaitingReason = "its next attempt is due in " + Age(m.NextTry.Sub(now))
	}
	i := slices.IndexFunc(lanes, func(l Lane) bool {
		return l.State == string(queue.LaneDown) || l.State == string(queue.LaneProbe)
	})
	switch {
	case i >= 0:
		l := lanes[i]
		m.WaitingReason = l.Name + " has been down for " + Age(now.Sub(l.Since)) + ", and is tried again in " + Age(l.Until.Sub(now)) + ": " + l.Reason
	case m.WaitingReason == "" && slices.ContainsFunc(lanes, func(l Lane) bool { return l.Active >= l.Limit && l.Limit > 0 }):
		m.WaitingReason = "its next hop has all the sessions that it bears"
	case m.WaitingReason == "":
		m.WaitingReason = "it is due, and has its turn soon"
	}
}
