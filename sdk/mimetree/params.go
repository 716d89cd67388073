package mimetree

import (
	"strconv"
	"strings"
)

// A param is one parameter of a Content-Type or Content-Disposition field.
type param struct {
	name       string // lower case, as in the field: "filename*0*"
	value      string // without quotes
	start, end int    // of all of it in the value that was parsed, from its name on
}

// maxParams is how many parameters of a field are read. A file name of 255
// characters in pieces of one line each has a dozen.
const maxParams = 500

// parseParams reads a value of the form `head; name=value; name="value"`
// (RFC 2045 §5.1). It takes what other clients take: comments, blanks
// anywhere, missing quotes and missing ends of quotes, and skips what is no
// parameter. ok is false if it had to.
func parseParams(s string) (head string, params []param, ok bool) {
	ok = true
	p := paramParser{s: s}
	head = strings.TrimSpace(p.until(";"))
	for p.skip(";"); p.i < len(s); p.skip(";") {
		if len(params) == maxParams {
			return head, params, false
		}
		start := p.i
		name := strings.ToLower(strings.TrimSpace(p.until("=;")))
		if p.i == len(s) || s[p.i] != '=' {
			ok = ok && name == ""
			continue
		}
		p.i++
		value, whole := p.value()
		params = append(params, param{name, value, start, p.i})
		ok = ok && whole && name != ""
		if rest := strings.TrimSpace(p.until(";")); rest != "" {
			ok = false // blanks in a value without quotes: `name=my file.pdf`
			if last := &params[len(params)-1]; whole && value != "" && s[p.i-1] != '"' {
				last.value += " " + rest
				last.end = p.i
			}
		}
	}
	return head, params, ok
}

type paramParser struct {
	s string
	i int
}

// skip passes over blanks, comments and the octets of set.
func (p *paramParser) skip(set string) {
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch {
		case c == '(':
			p.comment()
		case isSpace(c) || strings.IndexByte(set, c) >= 0:
			p.i++
		default:
			return
		}
	}
}

// comment passes over one comment with those in it (RFC 5322 §3.2.2).
func (p *paramParser) comment() {
	depth := 0
	for ; p.i < len(p.s); p.i++ {
		switch p.s[p.i] {
		case '\\':
			p.i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.i++
				return
			}
		}
	}
	p.i = len(p.s)
}

// until is what stands before the next octet of set, without comments.
func (p *paramParser) until(set string) string {
	var out strings.Builder
	for p.i < len(p.s) && strings.IndexByte(set, p.s[p.i]) < 0 {
		if p.s[p.i] == '(' {
			p.comment()
			continue
		}
		out.WriteByte(p.s[p.i])
		p.i++
	}
	return out.String()
}

// value reads a token or a quoted string; whole is false if the latter has no
// end.
func (p *paramParser) value() (value string, whole bool) {
	p.skip("")
	if p.i == len(p.s) || p.s[p.i] != '"' {
		start := p.i
		for p.i < len(p.s) && p.s[p.i] != ';' && p.s[p.i] != '(' && !isSpace(p.s[p.i]) {
			p.i++
		}
		return p.s[start:p.i], true
	}
	var out strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		switch c := p.s[p.i]; {
		case c == '"':
			p.i++
			return out.String(), true
		case c == '\\' && p.i+1 < len(p.s) && (p.s[p.i+1] == '"' || p.s[p.i+1] == '\\'):
			// Other octets keep their backslash: `name="C:\new.txt"` is
			// meant as it stands.
			p.i++
			out.WriteByte(p.s[p.i])
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// lookup is the value of the parameter of that name as UTF-8: put together of
// its continuations and decoded (RFC 2231), or with the encoded words that
// many clients write instead (forbidden by RFC 2047 §5). The first of several
// counts; the form of RFC 2231 counts more than the plain one.
func lookup(params []param, name string) string {
	if v, ok := extended(params, name); ok {
		return v
	}
	for _, p := range params {
		if p.name == name {
			return string(decodeWords([]byte(p.value)))
		}
	}
	return ""
}

// plain is the value of the parameter as it stands.
func plain(params []param, name string) string {
	for _, p := range params {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// extended puts together the parameter of that name in the form of RFC 2231.
func extended(params []param, name string) (string, bool) {
	var octets []byte
	charset, found := "", false
	for n := 0; ; n++ {
		p, encoded := piece(params, name, n)
		if p == nil {
			break
		}
		v := p.value
		if encoded {
			if !found {
				charset, v = cutCharset(v)
			}
			v = unpercent(v)
		}
		octets, found = append(octets, v...), true
		if p.name == name+"*" {
			break
		}
	}
	if !found {
		return "", false
	}
	text, err := decodeCharset(charset, octets)
	if err != nil {
		text = toUTF8(octets)
	}
	return string(text), true
}

// piece is the n-th section of a parameter (RFC 2231 §3), and whether it is
// percent encoded (§4).
func piece(params []param, name string, n int) (p *param, encoded bool) {
	section := name + "*" + strconv.Itoa(n)
	for i := range params {
		switch params[i].name {
		case section:
			return &params[i], false
		case section + "*":
			return &params[i], true
		case name + "*":
			if n == 0 {
				return &params[i], true
			}
		}
	}
	return nil, false
}

// cutCharset cuts `charset'language'value` (RFC 2231 §4).
func cutCharset(v string) (charset, value string) {
	charset, rest, ok := strings.Cut(v, "'")
	if !ok {
		return "", v
	}
	if _, value, ok = strings.Cut(rest, "'"); !ok {
		return "", v
	}
	return charset, value
}

func unpercent(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := hexValue(s[i+1]), hexValue(s[i+2])
			if hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// hexValue is the value of a hexadecimal digit, negative if c is none.
func hexValue(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// params encodes the values of parameters that are not ASCII (RFC 2231 §4).
// What is not ASCII elsewhere stays.
func (e encoder) params(value string) string {
	_, params, _ := parseParams(value)
	var out strings.Builder
	done := 0
	for _, p := range params {
		if isASCII(p.value) || !isASCII(p.name) || p.name == "" {
			continue
		}
		name, charset := p.name, e.charset+"''"
		if strings.HasSuffix(name, "*") {
			charset = ""
		} else {
			name += "*"
		}
		out.WriteString(value[done:p.start] + name + "=" + charset + percent(p.value, charset == ""))
		done = p.end
	}
	return out.String() + value[done:]
}

// percent encodes the octets that an extended value cannot have (RFC 2231 §7,
// attribute-char), or only those above 127 if the rest is encoded already.
func percent(s string, only8Bit bool) string {
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		if c < 0x80 && (only8Bit || isToken(s[i:i+1]) && c != '*' && c != '\'' && c != '%') {
			out.WriteByte(c)
			continue
		}
		out.WriteString("%" + string(upperHex[c>>4]) + string(upperHex[c&15]))
	}
	return out.String()
}

// withParam is a value whose parameter of that name has another value, a
// token.
func withParam(value, name, token string) string {
	_, params, _ := parseParams(value)
	var out strings.Builder
	done, set := 0, false
	for _, p := range params {
		base, _, _ := strings.Cut(p.name, "*")
		if base != name {
			continue
		}
		before := value[done:p.start]
		if set { // one is enough: the rest of them go with their semicolons
			before = strings.TrimRight(before, "; \t")
		} else {
			before += name + "=" + token
		}
		out.WriteString(before)
		done, set = p.end, true
	}
	out.WriteString(value[done:])
	if set {
		return out.String()
	}
	return strings.TrimRight(out.String(), "; \t") + "; " + name + "=" + token
}
