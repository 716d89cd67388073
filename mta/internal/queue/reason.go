package queue

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A Reason is why a recipient was deferred, as far as it matters to when it is
// tried again.
type Reason string

// The reasons. The empty one is any other.
const (
	ReasonUnreachable Reason = "unreachable" // refused, no route, the connection was lost
	ReasonTimeout     Reason = "timeout"     // the next hop was silent
	ReasonDNS         Reason = "dns"         // its hosts could not be looked up
	ReasonTLS         Reason = "tls"         // TLS was required and failed
	ReasonAuth        Reason = "auth"        // it refused our credentials
	ReasonBusy        Reason = "busy"        // it has too much to do: 421, or it put off the greeting or MAIL
	ReasonGreylisted  Reason = "greylisted"  // it wants to see us come back
	ReasonFull        Reason = "full"        // the mailbox is full
)

// Reasons are those that have a word, in the order of the reference.
var Reasons = []Reason{
	ReasonUnreachable, ReasonTimeout, ReasonDNS, ReasonTLS, ReasonAuth, ReasonBusy, ReasonGreylisted, ReasonFull,
}

// DefaultRetryOn are the schedules of reasons for which doubling minutes are not
// right. Nobody changes it.
var DefaultRetryOn = map[Reason]Schedule{
	// Each attempt keeps us waiting for minutes.
	ReasonTimeout: {First: 5 * time.Minute, Factor: 2, Max: 4 * time.Hour},
	// Somebody has to put it right.
	ReasonTLS:  {First: 15 * time.Minute, Factor: 2, Max: 4 * time.Hour},
	ReasonAuth: {First: 15 * time.Minute, Factor: 2, Max: 4 * time.Hour},
	// Most greylists let in who comes after five minutes; with the jitter taken
	// off, six are still over five. Those that want more want an hour at most.
	ReasonGreylisted: {First: 6 * time.Minute, Factor: 1.5, Max: time.Hour},
	// People empty mailboxes in hours.
	ReasonFull: {First: 30 * time.Minute, Factor: 2, Max: 4 * time.Hour},
}

// greylistWords are what greylists say, in lower case. Whatever time they name is
// not believed: a peer does not make us come sooner than the schedule says.
var greylistWords = []string{"greylist", "graylist", "grey list", "gray list", "grey-list", "gray-list"}

// reasonOf is why a recipient was deferred.
func reasonOf(r *mail.Result) Reason {
	if r.Peer {
		return reasonOfReply(r)
	}
	switch {
	case r.Code == 0:
		return ""
	case r.Enh == "4.4.3":
		return ReasonDNS
	case r.Enh == "4.7.5":
		return ReasonTLS
	case r.Enh == "4.7.0" && r.Unreached:
		return ReasonAuth
	case r.Enh == "4.4.5":
		return ReasonBusy
	case r.Enh == "4.4.1" || r.Enh == "4.4.2" || r.Enh == "4.4.4":
		if isTimeout(r.Err) {
			return ReasonTimeout
		}
		return ReasonUnreachable
	}
	return ""
}

// reasonOfReply is reasonOf for the words of a next hop.
func reasonOfReply(r *mail.Result) Reason {
	text := strings.ToLower(r.Text)
	for _, word := range greylistWords {
		if strings.Contains(text, word) {
			return ReasonGreylisted
		}
	}
	switch {
	case r.Strained || r.Unreached || r.Code == 421:
		return ReasonBusy
	case (r.Code == 450 || r.Code == 451) && r.Enh == "4.7.1":
		return ReasonGreylisted
	case r.Enh == "4.2.2":
		return ReasonFull
	}
	return ""
}

func isTimeout(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
