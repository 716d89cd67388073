package imapd

import (
	netmail "net/mail"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

// envelope is ENVELOPE of a message (RFC 3501 §7.4.2). Texts are as they stand
// in the fields, encoded words too: clients decode them. What is neither ASCII
// nor encoded, go-imap encodes. Of malformed fields it has what can be made
// out.
//
// go-imap writes the date in its own words, and none that net/mail cannot read,
// and it puts blanks between addresses, which the grammar does not have and
// clients pass over (RFC 3501 §9, env-from). Neither can be changed from here.
func (c *content) envelope(id mimetree.ID) (*imap.Envelope, error) {
	e := &imap.Envelope{}
	for name, take := range map[string]func(value string){
		"Subject":     func(v string) { e.Subject = v },
		"Date":        func(v string) { e.Date, _ = netmail.ParseDate(v) },
		"From":        func(v string) { e.From = addresses(v) },
		"Sender":      func(v string) { e.Sender = addresses(v) },
		"Reply-To":    func(v string) { e.ReplyTo = addresses(v) },
		"To":          func(v string) { e.To = addresses(v) },
		"Cc":          func(v string) { e.Cc = addresses(v) },
		"Bcc":         func(v string) { e.Bcc = addresses(v) },
		"In-Reply-To": func(v string) { e.InReplyTo = messageIDs(v) },
		"Message-Id": func(v string) {
			if ids := messageIDs(v); len(ids) > 0 {
				e.MessageID = ids[0]
			}
		},
	} {
		v, err := c.first(id, name)
		if err != nil {
			return nil, err
		}
		take(v)
	}
	return e, nil
}

// first is the first field of that name in one line; empty if there is none.
func (c *content) first(id mimetree.ID, name string) (string, error) {
	i, err := c.tree.FindField(id, name, 0)
	if err != nil {
		return "", orEmpty(err)
	}
	v, err := c.tree.FieldValue(id, i, mimetree.Unfolded)
	if err == nil && name == "Subject" && !isASCII(v) { // go-imap would encode encoded words again
		v, err = c.tree.FieldValue(id, i, mimetree.Decoded)
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(v), "\uFFFD")), err
}

func isASCII(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}

// messageIDs are the identifiers in a field, without their brackets.
func messageIDs(value string) []string {
	var ids []string
	for {
		_, rest, ok := strings.Cut(value, "<")
		if !ok {
			return ids
		}
		id, after, ok := strings.Cut(rest, ">")
		if !ok {
			return ids
		}
		if id != "" {
			ids = append(ids, id)
		}
		value = after
	}
}

// missingDomain stands where an address has none, which would make it a group:
// other servers say so too.
const missingDomain = "MISSING_DOMAIN"

// addresses reads a list of addresses (RFC 5322 §3.4), and what people write
// for one. A group begins with an address that has its name and no host, and
// ends with one that is empty (RFC 3501 §7.4.2).
func addresses(value string) []imap.Address {
	p := addressParser{rest: value}
	for p.rest != "" {
		p.step()
	}
	p.end()
	if p.inGroup {
		p.list = append(p.list, imap.Address{})
	}
	return p.list
}

// An addressParser has what it read of the address in hand.
type addressParser struct {
	rest    string
	words   strings.Builder // quotes and comments taken off
	comment string          // the last one
	gap     bool            // blanks came after the last word
	at      int             // of the last `@` in words that is not quoted, plus one
	angle   string          // what stands in angle brackets
	inAngle bool            // there are such
	inGroup bool
	list    []imap.Address
}

// step reads one token.
func (p *addressParser) step() {
	c := p.rest[0]
	switch c {
	case ' ', '\t', '\r', '\n':
		p.rest, p.gap = p.rest[1:], p.words.Len() > 0
	case '(':
		p.comment = p.enclosed('(', ')')
	case '"':
		p.add(p.enclosed('"', '"'))
	case '<':
		p.angle, p.inAngle = p.brackets(), true
	case ',', ';':
		p.rest = p.rest[1:]
		p.end()
		if c == ';' && p.inGroup {
			p.inGroup, p.list = false, append(p.list, imap.Address{})
		}
	case ':':
		p.rest = p.rest[1:]
		p.group()
	default:
		n := strings.IndexAny(p.rest[1:], " \t\r\n(\"<,;:") + 1
		if n == 0 {
			n = len(p.rest)
		}
		if at := strings.LastIndexByte(p.rest[:n], '@'); at >= 0 {
			p.gap = p.gap && at > 0
			defer func(before int) { p.at = p.words.Len() - before }(n - at - 1)
		}
		p.add(p.rest[:n])
		p.rest = p.rest[n:]
	}
}

// add adds a word.
func (p *addressParser) add(word string) {
	if p.gap {
		p.words.WriteByte(' ')
	}
	p.words.WriteString(word)
	p.gap = false
}

// enclosed reads what stands in quotes or parentheses, without them.
func (p *addressParser) enclosed(open, shut byte) string {
	var b strings.Builder
	depth := 1
	i := 1
	for ; i < len(p.rest); i++ {
		c := p.rest[i]
		switch {
		case c == '\\' && i+1 < len(p.rest):
			i++
			c = p.rest[i]
		case c == shut:
			depth--
		case c == open:
			depth++
		}
		if depth == 0 {
			i++
			break
		}
		b.WriteByte(c)
	}
	p.rest = p.rest[i:]
	return b.String()
}

// brackets reads what stands in angle brackets, without them and without a
// route (RFC 5322 §4.4).
func (p *addressParser) brackets() string {
	addr, rest, _ := strings.Cut(p.rest[1:], ">")
	p.rest = rest
	if strings.HasPrefix(addr, "@") {
		if _, after, ok := strings.Cut(addr, ":"); ok {
			addr = after
		}
	}
	return strings.TrimSpace(addr)
}

// end ends the address in hand.
func (p *addressParser) end() {
	words := p.words.String()
	switch {
	case p.inAngle:
		local, host := p.angle, ""
		if i := strings.LastIndexByte(p.angle, '@'); i >= 0 {
			local, host = p.angle[:i], p.angle[i+1:]
		}
		if n := len(local); n > 1 && local[0] == '"' && local[n-1] == '"' {
			inner := addressParser{rest: local}
			local = inner.enclosed('"', '"')
		}
		name := words
		if name == "" {
			name = p.comment
		}
		p.found(name, local, host)
	case p.at > 0:
		p.found(p.comment, strings.TrimSpace(words[:p.at-1]), strings.TrimSpace(words[p.at:]))
	case words != "":
		p.found(p.comment, words, "")
	}
	p.reset()
}

func (p *addressParser) found(name, local, host string) {
	if local == "" && host == "" && name == "" {
		return
	}
	if host == "" {
		host = missingDomain
	}
	if local == "" {
		local = "MISSING_MAILBOX" // empty would end a group
	}
	p.list = append(p.list, imap.Address{Name: name, Mailbox: local, Host: host})
}

// group begins a group whose name was read.
func (p *addressParser) group() {
	name := p.words.String()
	p.reset()
	if name == "" || p.inGroup {
		return
	}
	p.inGroup = true
	p.list = append(p.list, imap.Address{Mailbox: name})
}

func (p *addressParser) reset() {
	p.words.Reset()
	p.comment, p.gap, p.at, p.angle, p.inAngle = "", false, 0, "", false
}
