package main

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// A condition holds if all that it names holds. The first part is about the
// message, the second about each recipient.
type condition struct {
	Sender        patterns              `json:"sender"`
	Header        mta.Ordered[patterns] `json:"header"`
	Size          *sizes                `json:"size"`
	Hours         hours                 `json:"hours"`
	Days          days                  `json:"days"`
	Authenticated *bool                 `json:"authenticated"`
	Client        networks              `json:"client"`

	Recipient patterns `json:"recipient"`
	Detail    patterns `json:"detail"`
}

// sizes are bounds of the message's size; zero is none.
type sizes struct {
	Over  mta.Size `json:"over"`
	Under mta.Size `json:"under"`
}

// networks are addresses of clients: "192.0.2.0/24", "2001:db8::1".
type networks []netip.Prefix

// UnmarshalConfig implements [mta.Unmarshaler].
func (n *networks) UnmarshalConfig(v mta.Value) error {
	list, err := textOrList(v)
	if err != nil {
		return err
	}
	*n = nil
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if addr, err2 := netip.ParseAddr(s); err2 == nil {
			p, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return errors.New(strconv.Quote(s) + ` is no address or network; write one as in "192.0.2.0/24"`)
		}
		*n = append(*n, p.Masked())
	}
	return nil
}

// aboutRecipients tells whether c asks about each recipient.
func (c *condition) aboutRecipients() bool { return c.Recipient != nil || c.Detail != nil }

// aboutMessage tells whether c asks about the message.
func (c *condition) aboutMessage() bool {
	return c.Sender != nil || c.Header != nil || c.Size != nil || c.Hours != nil || c.Days != 0 ||
		c.Authenticated != nil || c.Client != nil
}

// matchMessage asks what is cheap first.
func (c *condition) matchMessage(f *facts) bool {
	if c.Authenticated != nil && *c.Authenticated != f.authenticated() {
		return false
	}
	if c.Days != 0 && !c.Days.match(f.time()) || c.Hours != nil && !c.Hours.match(f.time()) {
		return false
	}
	if c.Sender != nil && !c.matchSender(f) || c.Client != nil && !c.matchClient(f) {
		return false
	}
	if s := c.Size; s != nil {
		size := f.size()
		if s.Over > 0 && size <= int64(s.Over) || s.Under > 0 && size >= int64(s.Under) {
			return false
		}
	}
	for i := range c.Header {
		if !matchHeader(&c.Header[i], f) {
			return false
		}
	}
	return true
}

func (c *condition) matchSender(f *facts) bool {
	_, ok := c.Sender.matchAddress(f.sender())
	return ok
}

func (c *condition) matchClient(f *facts) bool {
	addr := f.client()
	for _, p := range c.Client {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// matchHeader holds if one field of that name matches.
func matchHeader(p *mta.Pair[patterns], f *facts) bool {
	for _, v := range f.header(p.Key) {
		if _, ok := p.Value.match(v.text, v.lower); ok {
			return true
		}
	}
	return false
}

// matchRecipient asks about one recipient.
func (c *condition) matchRecipient(a address) (groups []string, ok bool) {
	if c.Detail != nil {
		if a.detail == "" {
			return nil, false
		}
		if groups, ok = c.Detail.match(a.detail, strings.ToLower(a.detail)); !ok {
			return nil, false
		}
	}
	if c.Recipient != nil {
		return c.Recipient.matchAddress(a)
	}
	return groups, true
}

// facts are what conditions ask about the message in hand, each asked of the
// host once.
type facts struct {
	m         *mta.Message
	separator string
	zone      *time.Location
	known     uint8 // bits of the fields below that are filled in
	auth      bool
	from      address
	now       time.Time
	octets    int64
	addr      netip.Addr
	headers   []headerFact
}

const (
	knowAuth = 1 << iota
	knowSender
	knowTime
	knowSize
	knowClient
)

type headerFact struct {
	name   string
	values []value
}

type value struct{ text, lower string }

func (f *facts) first(bit uint8) bool {
	known := f.known&bit != 0
	f.known |= bit
	return !known
}

func (f *facts) authenticated() bool {
	if f.first(knowAuth) {
		f.auth = f.m.Account() != ""
	}
	return f.auth
}

func (f *facts) sender() address {
	if f.first(knowSender) {
		f.from = split(f.m.Sender(), f.separator)
	}
	return f.from
}

func (f *facts) time() time.Time {
	if f.first(knowTime) {
		f.now = mta.Now().In(f.zone)
	}
	return f.now
}

func (f *facts) size() int64 {
	if f.first(knowSize) {
		f.octets = f.m.Size()
	}
	return f.octets
}

func (f *facts) client() netip.Addr {
	if f.first(knowClient) {
		f.addr = f.m.ClientAddr().Unmap()
	}
	return f.addr
}

func (f *facts) header(name string) []value {
	for i := range f.headers {
		if strings.EqualFold(f.headers[i].name, name) {
			return f.headers[i].values
		}
	}
	var values []value
	for _, s := range f.m.Header().Values(name) {
		values = append(values, value{s, strings.ToLower(s)})
	}
	f.headers = append(f.headers, headerFact{name, values})
	return values
}

// check is what is wrong with a condition, with the cure.
func (c *condition) check() (findings []string) {
	for _, p := range c.Header {
		if !isFieldName(p.Key) {
			findings = append(findings, "header: "+strconv.Quote(p.Key)+" is no name of a header field; remove blanks and colons")
		}
	}
	if c.Size != nil && c.Size.Over == 0 && c.Size.Under == 0 {
		findings = append(findings, "size has no bound; write {over: 10MiB} or {under: 10MiB}")
	}
	if c.Size != nil && c.Size.Under > 0 && c.Size.Over >= c.Size.Under {
		findings = append(findings, "size can never be over "+strconv.Itoa(int(c.Size.Over))+
			" and under "+strconv.Itoa(int(c.Size.Under))+" octets; exchange them")
	}
	return findings
}

// isFieldName tells whether s is a field name (RFC 5322 §2.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}
