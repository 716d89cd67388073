package config

import (
	"crypto/tls"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"gopkg.in/yaml.v3"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// check compares the parts of the file with each other. Parts that could not
// be decoded have their finding already, and are zero here.
func (d *decoder) check(c *Config) {
	d.checkListen(c)
	d.checkAccounts(c)
	d.checkRoutes(c)
	d.checkNextHops(c)
	d.checkStages(c)
}

// tell reports a finding at the value of path.
func (d *decoder) tell(c *Config, path, what, cure string) {
	d.addAt(c.At(path), path, what, cure)
}

// A Listener is the addresses of one protocol.
type Listener struct {
	Protocol  string // its key in the file: "smtp"
	Addresses []Address
	TLS       bool // from the first octet
}

// All returns the listeners in the order of the reference.
func (l *Listen) All() []Listener {
	return []Listener{
		{"smtp", l.SMTP, false}, {"submission", l.Submission, false}, {"submissions", l.Submissions, true},
		{"lmtp", l.LMTP, false}, {"milter", l.Milter, false},
		{"pop3", l.POP3, false}, {"pop3s", l.POP3S, true}, {"imap", l.IMAP, false}, {"imaps", l.IMAPS, true},
		{"http", l.HTTP, false},
	}
}

// Path is that of the address i in the file.
func (l Listener) Path(i int) string { return Index(Key("listen", l.Protocol), i) }

func (d *decoder) checkListen(c *Config) {
	first := map[Address]string{}
	for _, l := range c.Listen.All() {
		if l.TLS && len(l.Addresses) > 0 && !c.TLS.Enabled() {
			d.tell(c, Key("listen", l.Protocol), "needs a certificate", "set tls.cert and tls.key, or leave this listener out")
		}
		for i, a := range l.Addresses {
			if a.Port == 0 {
				continue
			}
			if other, ok := first[a]; ok {
				d.tell(c, l.Path(i), fmt.Sprintf("%s is taken by %s", a, other), "choose another port")
				continue
			}
			first[a] = l.Path(i)
		}
	}
}

func (d *decoder) checkAccounts(c *Config) {
	local := map[string]bool{}
	var names []string
	for _, domain := range c.Domains {
		local[asciiDomain(domain.Name)] = true
		names = append(names, domain.Name)
	}
	open, isOpen := c.Listen.open()
	for _, a := range c.Accounts {
		path := Key("accounts", a.Name)
		_, domain, _ := cutLast(a.Name, "@")
		if !local[asciiDomain(domain)] {
			cure := fmt.Sprintf("add %q to domains", domain)
			if near := Nearest(domain, names); near != "" {
				cure = fmt.Sprintf("write %q, or add it to domains", near)
			}
			d.tell(c, path, fmt.Sprintf("domain %q is not one of domains", domain), cure)
		}
		if isOpen && a.Password != "" && d.opts.Demo != nil && d.opts.Demo(string(a.Password)) {
			d.tell(c, Key(path, "password"), fmt.Sprintf("the demo password, while %s can be reached by others", open), "set another password, or listen on 127.0.0.1 only")
		}
	}
}

// LoopbackOnly tells whether no other machine can reach any listener.
func (l *Listen) LoopbackOnly() bool {
	_, open := l.open()
	return !open
}

// open returns the first address that other machines can reach.
func (l *Listen) open() (string, bool) {
	for _, l := range l.All() {
		for _, a := range l.Addresses {
			if !a.Loopback() {
				return l.Protocol + " on " + a.String(), true
			}
		}
	}
	return "", false
}

// asciiDomain makes the two spellings of an international domain the same
// (RFC 5890).
func asciiDomain(domain string) string {
	if ascii, err := idna.Lookup.ToASCII(domain); err == nil && mail.HasUTF8(domain) {
		return ascii
	}
	return strings.ToLower(domain)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func (d *decoder) checkRoutes(c *Config) {
	all := ""
	local := map[string]bool{}
	for _, domain := range c.Domains {
		local[domain.Name] = true
	}
	for _, r := range c.Relay.Routes {
		path := Key("relay.routes", r.Domain)
		switch {
		case all != "":
			d.tell(c, path, fmt.Sprintf("never used, because %s before it matches", all), "move it up")
		case local[r.Domain]:
			d.tell(c, path, "never used, because it is one of domains", "remove it, or say `deliver:` in domains")
		case r.Domain == "*":
			all = `"*"`
		}
	}
}

// checkNextHops tells of those that none is left for.
func (d *decoder) checkNextHops(c *Config) {
	for i, h := range c.Queue.NextHops {
		if i > 0 && c.Queue.NextHops[i-1].Pattern == "*" {
			d.tell(c, Key("queue.next_hops", h.Pattern), "never used, because \"*\" before it matches", "move it up")
			return
		}
	}
}

// checkStages finds the plugin of each stage, and names the stages that have
// no name.
func (d *decoder) checkStages(c *Config) {
	plugins := make([]string, len(c.Plugins))
	known := map[string]bool{}
	for i, p := range c.Plugins {
		plugins[i] = p.Name
		known[p.Name] = true
	}
	taken := map[string]bool{}
	for i, s := range c.Pipeline {
		at := Index("pipeline", i)
		if s.Plugin != "" && !known[s.Plugin] {
			d.unknownPlugin(c, Key(at, "plugin"), s.Plugin, plugins)
		}
		if s.Name != "" && taken[s.Name] {
			d.tell(c, Key(at, "name"), fmt.Sprintf("%q is the name of another stage", s.Name), "choose another name")
		}
		taken[s.Name] = true
	}
	nameStages(c.Pipeline, taken)
}

func (d *decoder) unknownPlugin(c *Config, at, name string, plugins []string) {
	cure := "add it to plugins"
	if near := Nearest(name, plugins); near != "" {
		cure = fmt.Sprintf("write %q, or add it to plugins", near)
	}
	d.tell(c, at, fmt.Sprintf("unknown plugin %q", quotable(name)), cure)
}

// nameStages names those that have no name after their plugin: stamp, stamp-2.
func nameStages(stages []Stage, taken map[string]bool) {
	for i := range stages {
		s := &stages[i]
		name := s.Plugin
		for n := 2; s.Name == "" && taken[name]; n++ {
			name = s.Plugin + "-" + strconv.Itoa(n)
		}
		if s.Name == "" {
			s.Name = name
			taken[name] = true
		}
	}
}

func checkTLS(d *decoder, n *yaml.Node, at string, t *TLS) {
	switch {
	case t.Cert == "" && t.Key == "":
		return
	case t.Key == "":
		d.add(n, at, "cert without key", "set tls.key to the file of its private key")
		return
	case t.Cert == "":
		d.add(n, at, "key without cert", "set tls.cert to the file of its certificate")
		return
	}
	cert, ok1 := d.readPEM(Key(at, "cert"), t.Cert)
	key, ok2 := d.readPEM(Key(at, "key"), t.Key)
	if !ok1 || !ok2 {
		return
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		d.add(n, at, "cert and key cannot be used: "+strings.TrimPrefix(err.Error(), "tls: "), "name the two PEM files that belong together")
	}
}

func (d *decoder) readPEM(at, path string) ([]byte, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		d.addAt(d.places[at], at, fmt.Sprintf("%q: %v", path, plainError(err)), "name a PEM file that the server can read")
		return nil, false
	}
	return b, true
}

func checkRetry(d *decoder, n *yaml.Node, at string, r *Retry) {
	if r.Max < r.First {
		d.add(n, at, fmt.Sprintf("max %s is less than first %s", formatDuration(r.Max), formatDuration(r.First)), "raise max")
	}
}

func checkQueue(d *decoder, n *yaml.Node, at string, q *Queue) {
	checkShared(d, n, at, q)
	if q.WarnAfter > q.ExpireAfter {
		d.add(n, at, fmt.Sprintf("warn_after %s is later than expire_after %s", formatDuration(q.WarnAfter), formatDuration(q.ExpireAfter)), "lower warn_after; 0s is never")
	}
}

func checkPassword(d *decoder, n *yaml.Node, at string, v *Secret) {
	if d.opts.Password == nil {
		return
	}
	if err := d.opts.Password(string(*v)); err != nil {
		d.add(n, at, "is not a password hash: "+err.Error(), "put the account in with `mta account add`")
	}
}

// compileWhen type-checks a condition. The compiler's error may bring its cure
// after a semicolon.
func compileWhen(d *decoder, n *yaml.Node, at string, v *string) {
	if d.opts.Compile == nil {
		return
	}
	err := d.opts.Compile(*v)
	if err == nil {
		return
	}
	pos := posOf(n)
	if c, ok := err.(interface{ Column() int }); ok {
		pos.Col += columnWithin(n, *v, c.Column())
	}
	what, cure, ok := strings.Cut(err.Error(), "; ")
	if !ok {
		cure = "mend the condition"
	}
	d.addAt(pos, at, what, cure)
}

// columnWithin turns the octet column of the text of n, from 1, into how many
// characters that is behind the beginning of n. It is zero for a value of
// several lines.
func columnWithin(n *yaml.Node, text string, column int) int {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || column < 1 || column > len(text) {
		return 0
	}
	within := utf8.RuneCountInString(text[:column-1])
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		within++
	}
	return within
}
