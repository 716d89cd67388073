package smtpc

import (
	"strconv"
	"strings"
)

// An Offer is what the lines of an EHLO reply offer. Keywords are in capitals:
// case means nothing in them (RFC 5321 §2.4).
type Offer struct {
	Name     string            // what the peer calls itself
	Keywords map[string]string // keyword to its parameters
	Size     int64             // the SIZE it takes; zero: not said, or no limit (RFC 1870 §4)
	RcptMax  int               // LIMITS RCPTMAX (RFC 9422); zero: not said
	MailMax  int               // LIMITS MAILMAX (RFC 9422); zero: not said
}

// Has tells whether keyword, in capitals, is offered.
func (o *Offer) Has(keyword string) bool {
	_, ok := o.Keywords[keyword]
	return ok
}

// parseOffer reads the lines of a positive EHLO reply. Lines that make no
// sense are passed over.
func parseOffer(lines []string) Offer {
	name, _, _ := strings.Cut(lines[0], " ")
	o := Offer{Name: clean(name), Keywords: make(map[string]string, len(lines))}
	for _, line := range lines[1:] {
		keyword, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		// `AUTH=LOGIN PLAIN` is how it was before RFC 2554.
		if k, first, found := strings.Cut(keyword, "="); found && strings.EqualFold(k, "AUTH") {
			keyword, params = k, first+" "+params
			if o.Has("AUTH") {
				continue
			}
		}
		if keyword != "" {
			o.Keywords[strings.ToUpper(keyword)] = params
		}
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(o.Keywords["SIZE"]), 10, 64); err == nil && n > 0 {
		o.Size = n
	}
	for limit := range strings.FieldsSeq(o.Keywords["LIMITS"]) {
		name, value, _ := strings.Cut(limit, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n <= 0 {
			continue
		}
		switch strings.ToUpper(name) {
		case "RCPTMAX":
			o.RcptMax = n
		case "MAILMAX":
			o.MailMax = n
		}
	}
	return o
}
