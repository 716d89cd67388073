package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// RetryOn has the schedules by why a message was deferred. What a zero Retry
// says is said by Queue.Retry.
type RetryOn struct {
	Unreachable, Timeout, DNS, TLS, Auth, Busy, Greylisted, Full Retry
}

// A NextHop is what is different for some next hops. Zero fields have the
// queue's own values.
type NextHop struct {
	Pattern     string // a mail domain or a host; "*.crepes.fr" for what lies below a domain; "*" for all
	Concurrency int    // attempts at once
	Rate        Rate   // of messages
	Messages    int    // over one connection
	Retry       Retry  // whatever the reason
}

// A Rate is how many messages there may be in a time. The zero Rate is no limit.
type Rate struct {
	Messages int
	Per      time.Duration
}

// String is the rate as the file has it.
func (r Rate) String() string {
	if r == (Rate{}) {
		return ""
	}
	return fmt.Sprintf("%d/%s", r.Messages, formatDuration(r.Per))
}

// retryOnKeys are a schedule for each reason.
func retryOnKeys() object[RetryOn] {
	reason := func(name string, of func(*RetryOn) *Retry, doc string) key[RetryOn] {
		return field(name, retryPart(), of, doc)
	}
	return object[RetryOn]{keys: []key[RetryOn]{
		reason("unreachable", func(r *RetryOn) *Retry { return &r.Unreachable }, "Refused, no route, or the connection was lost. Half of these waits are those between two probes of a next hop that is down, up to 15 minutes."),
		reason("timeout", func(r *RetryOn) *Retry { return &r.Timeout }, "The next hop was silent: each attempt takes minutes."),
		reason("dns", func(r *RetryOn) *Retry { return &r.DNS }, "Its hosts could not be looked up."),
		reason("tls", func(r *RetryOn) *Retry { return &r.TLS }, "TLS is required and failed: somebody has to put it right."),
		reason("auth", func(r *RetryOn) *Retry { return &r.Auth }, "It refused our user and password."),
		reason("busy", func(r *RetryOn) *Retry { return &r.Busy }, "It has too much to do: it answered 421, or put off the greeting or MAIL."),
		reason("greylisted", func(r *RetryOn) *Retry { return &r.Greylisted }, "It wants to see us come back: the reply says so, or is 450 or 451 with 4.7.1. Most let in who comes after five minutes."),
		reason("full", func(r *RetryOn) *Retry { return &r.Full }, "The mailbox is full (4.2.2)."),
	}}
}

// retryPart is a schedule of which only some fields may be given.
func retryPart() object[Retry] {
	return object[Retry]{then: completeRetry, keys: []key[Retry]{
		field("first", optional(duration(time.Second, 7*day)), func(r *Retry) *time.Duration { return &r.First }, "Wait after the first attempt."),
		field("factor", optional(factor(1, 100)), func(r *Retry) *float64 { return &r.Factor }, "By how much each wait is longer than the one before it."),
		field("max", optional(duration(time.Second, 7*day)), func(r *Retry) *time.Duration { return &r.Max }, "The longest wait."),
	}}
}

// completeRetry gives what was left out of a schedule without defaults of its
// own those of queue.retry.
func completeRetry(d *decoder, n *yaml.Node, at string, r *Retry) {
	if *r == (Retry{}) {
		return
	}
	def := Defaults().Queue.Retry
	r.First, r.Factor = orDefault(r.First, def.First), orDefault(r.Factor, def.Factor)
	r.Max = orDefault(r.Max, max(def.Max, r.First))
	checkRetry(d, n, at, r)
}

func orDefault[V comparable](v, def V) V {
	var zero V
	if v == zero {
		return def
	}
	return v
}

// optional is k where the zero value means that nothing was said.
func optional[V comparable](k scalar[V]) scalar[V] {
	show := k.show
	k.show = func(v V) any {
		var zero V
		if v == zero {
			return nil
		}
		return show(v)
	}
	return k
}

func nextHops() dict[NextHop] {
	return dict[NextHop]{
		what: "a hop", want: "a mail domain or a host such as crepes.fr, *.crepes.fr for what lies below it, or *",
		name: func(_ *Options, key string) (NextHop, string, error) {
			r, name, err := routeName(nil, key)
			if _, noAddress := netip.ParseAddr(name); noAddress == nil {
				return NextHop{Pattern: name}, name, nil
			}
			return NextHop{Pattern: r.Domain}, name, err
		},
		elem: object[NextHop]{keys: []key[NextHop]{
			field("concurrency", optional(number(1, 1000)), func(h *NextHop) *int { return &h.Concurrency }, "Attempts at once, at most; left out: `relay.concurrency`."),
			field("rate", rate(), func(h *NextHop) *Rate { return &h.Rate }, "Messages in a time, at most, of which a tenth may come at once; left out: no limit."),
			field("messages", optional(number(1, 100000)), func(h *NextHop) *int { return &h.Messages }, "Messages over one connection, at most; left out: 100."),
			field("retry", retryPart(), func(h *NextHop) *Retry { return &h.Retry }, "When a deferred message is tried again, whatever the reason."),
		}},
	}
}

// maxRate is the largest rate that can be meant.
const maxRate = 10_000_000

// rate is a number of messages in a time.
func rate() scalar[Rate] {
	return scalar[Rate]{
		words: "rate", want: "a rate such as 100/1m", tags: anyTags,
		schema: schema{Pattern: `^[0-9]+/([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$`},
		show:   func(r Rate) any { return showText(r.String()) },
		parse:  parseRate,
	}
}

func parseRate(s string) (Rate, error) {
	number, span, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return Rate{}, fmt.Errorf("%q is not a rate", quotable(s))
	}
	if err := between(n, 1, maxRate, number, strconv.Itoa); err != nil {
		return Rate{}, err
	}
	per, err := ParseDuration(span)
	if err == nil {
		err = between(per, time.Second, day, span, formatDuration)
	}
	return Rate{n, per}, err
}
