package queue

import (
	"net"
	"strings"
)

// A NextHop is what an operator says of some next hops. Zero fields have the
// queue's own values.
type NextHop struct {
	// Pattern is a mail domain or a host, "*.example.org" for what lies below a
	// domain, or "*" for all.
	Pattern     string
	Concurrency int      // what the lane's limit grows to
	Rate        Rate     // of messages
	Schedule    Schedule // for every reason
}

var anyHop NextHop

// hopOf is the first of q.NextHops that matches a lane.
func (q *Queue) hopOf(lane string) *NextHop {
	if lane == "" {
		return &anyHop
	}
	for i := range q.NextHops {
		if q.NextHops[i].Matches(lane) {
			return &q.NextHops[i]
		}
	}
	return &anyHop
}

// hostOf is the domain or host of a lane, in lower case.
func hostOf(lane string) string {
	host := strings.ToLower(lane)
	if _, address, ok := strings.Cut(host, "://"); ok {
		host = address
		if h, _, err := net.SplitHostPort(address); err == nil {
			host = h
		}
	}
	return host
}

// Matches tells whether h is about a lane.
func (h *NextHop) Matches(lane string) bool {
	host := hostOf(lane)
	pattern := strings.ToLower(h.Pattern)
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return suffix == "" || suffix[0] == '.' && len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return pattern == host
}
