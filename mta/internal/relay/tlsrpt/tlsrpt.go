// Package tlsrpt counts how TLS with next hops went, by domain and policy, and
// writes the reports that domains ask for (RFC 8460). Whether to send one is
// left to others.
package tlsrpt

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is counted. What is beyond them is counted as dropped.
const (
	maxDays    = 3     // today, yesterday's report, and one that is late
	maxDomains = 10000 // of a day
	maxDetails = 100   // different failures of one policy of one day
)

// A Policy is whose word it was that TLS has to be, or to show something.
type Policy string

// The policies, as reports name them (RFC 8460 §4.4).
const (
	TLSA     Policy = "tlsa"
	STS      Policy = "sts"
	NoPolicy Policy = "no-policy-found"
)

// The result types of sessions that failed (RFC 8460 §4.3).
const (
	NotSupported  = "starttls-not-supported"
	HostMismatch  = "certificate-host-mismatch"
	Expired       = "certificate-expired"
	NotTrusted    = "certificate-not-trusted"
	Failed        = "validation-failure"
	TLSAInvalid   = "tlsa-invalid"
	DNSSECInvalid = "dnssec-invalid"
	STSFetchError = "sts-policy-fetch-error"
	STSInvalid    = "sts-policy-invalid"
	STSWebPKI     = "sts-webpki-invalid"
)

// An Event is one session with a mail host, or a policy that could not be had.
type Event struct {
	Domain  string   // whose mail it was
	Policy  Policy   //
	Text    []string // the policy, line by line; may be empty
	MX      []string // the hosts that it names; may be empty
	Failure string   // a result type; empty: TLS was as it should be
	Host    string   // the mail host; empty if it did not come to that
	Addr    netip.Addr
	Reason  string // more of the failure, for who reads the report
}

// Counts has what was counted. Its zero value is ready. Safe for concurrent
// use.
type Counts struct {
	mu      sync.Mutex     // guards what follows
	days    map[string]day // by date, UTC
	dropped int
}

type day map[string]map[Policy]*count

type count struct {
	last    Event // for the policy's words
	ok      int
	failed  int
	details map[detail]int
}

type detail struct {
	kind, host, reason string
	addr               netip.Addr
}

// Add counts e at the time now.
func (c *Counts) Add(now time.Time, e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.dayOf(now)
	domain := d[e.Domain]
	if domain == nil {
		if len(d) >= maxDomains {
			c.dropped++
			return
		}
		domain = map[Policy]*count{}
		d[e.Domain] = domain
	}
	n := domain[e.Policy]
	if n == nil {
		n = &count{details: map[detail]int{}}
		domain[e.Policy] = n
	}
	n.last = e
	if e.Failure == "" {
		n.ok++
		return
	}
	n.failed++
	at := detail{e.Failure, e.Host, e.Reason, e.Addr}
	if _, known := n.details[at]; known || len(n.details) < maxDetails {
		n.details[at]++
	}
}

func (c *Counts) dayOf(now time.Time) day {
	date := now.UTC().Format(time.DateOnly)
	if d := c.days[date]; d != nil {
		return d
	}
	if c.days == nil {
		c.days = map[string]day{}
	}
	d := day{}
	c.days[date] = d
	for len(c.days) > maxDays {
		oldest := date
		for other := range c.days {
			oldest = min(oldest, other)
		}
		delete(c.days, oldest)
	}
	return d
}

// Dropped is how many sessions were not counted because there were too many
// domains.
func (c *Counts) Dropped() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped
}

// Domains returns the domains that have counts for the day of at, sorted.
func (c *Counts) Domains(at time.Time) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for name := range c.days[at.UTC().Format(time.DateOnly)] {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A Sender is who a report comes from.
type Sender struct {
	Organization string // "crepes.fr"
	Contact      string // an address
}

// Report writes the report of one domain about the day of at (RFC 8460 §4.4);
// nil: nothing was counted.
func (c *Counts) Report(by Sender, domain string, at time.Time) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	date := at.UTC().Format(time.DateOnly)
	policies := c.days[date][domain]
	if len(policies) == 0 {
		return nil
	}
	start, _ := time.Parse(time.DateOnly, date)
	r := report{
		Organization: by.Organization, Contact: by.Contact, ID: date + "." + domain + "@" + by.Organization,
		Range: dateRange{start, start.Add(24*time.Hour - time.Second)},
	}
	for kind, n := range policies {
		r.Policies = append(r.Policies, n.result(kind, domain))
	}
	slices.SortFunc(r.Policies, func(a, b result) int { return strings.Compare(string(a.Policy.Kind), string(b.Policy.Kind)) })
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil { // strings, numbers and times
		return nil
	}
	return append(b, '\n')
}

func (n *count) result(kind Policy, domain string) result {
	r := result{Policy: policyOf{kind, n.last.Text, domain, n.last.MX}, Summary: summary{n.ok, n.failed}}
	for d, times := range n.details {
		f := failure{Kind: d.kind, Host: d.host, Reason: d.reason, Sessions: times}
		if d.addr.IsValid() {
			f.Addr = d.addr.String()
		}
		r.Failures = append(r.Failures, f)
	}
	slices.SortFunc(r.Failures, func(a, b failure) int {
		return strings.Compare(a.Kind+a.Host+a.Addr+a.Reason, b.Kind+b.Host+b.Addr+b.Reason)
	})
	return r
}

// The form of RFC 8460 §4.4.
type (
	report struct {
		Organization string    `json:"organization-name"`
		Range        dateRange `json:"date-range"`
		Contact      string    `json:"contact-info"`
		ID           string    `json:"report-id"`
		Policies     []result  `json:"policies"`
	}
	dateRange struct {
		Start time.Time `json:"start-datetime"`
		End   time.Time `json:"end-datetime"`
	}
	result struct {
		Policy   policyOf  `json:"policy"`
		Summary  summary   `json:"summary"`
		Failures []failure `json:"failure-details,omitempty"`
	}
	policyOf struct {
		Kind   Policy   `json:"policy-type"`
		Text   []string `json:"policy-string,omitempty"`
		Domain string   `json:"policy-domain"`
		MX     []string `json:"mx-host,omitempty"`
	}
	summary struct {
		OK     int `json:"total-successful-session-count"`
		Failed int `json:"total-failure-session-count"`
	}
	failure struct {
		Kind     string `json:"result-type"`
		Host     string `json:"receiving-mx-hostname,omitempty"`
		Addr     string `json:"receiving-ip,omitempty"`
		Sessions int    `json:"failed-session-count"`
		Reason   string `json:"failure-reason-code,omitempty"`
	}
)
