package mimetree

import "strings"

// addresses encodes display names and comments that are not ASCII
// (RFC 2047 §5 (2), (3)). All else stays as it is written: addresses, commas,
// groups, ASCII names with their quotes.
func (e encoder) addresses(value string) string {
	var out strings.Builder
	for i := 0; i < len(value); {
		n := addressToken(value[i:])
		token := value[i : i+n]
		i += n
		switch {
		case isASCII(token) || token[0] == '<':
			out.WriteString(token)
		case token[0] == '(':
			out.WriteString(e.comment(token))
		default:
			out.WriteString(e.phrase(token, value[i:]))
		}
	}
	return out.String()
}

// addressToken is the length of what is at the front of s: an address in angle
// brackets, a comment, a separator, or all up to the next of those.
func addressToken(s string) int {
	switch s[0] {
	case '<':
		if i := strings.IndexByte(s, '>'); i >= 0 {
			return i + 1
		}
		return len(s)
	case '(':
		p := paramParser{s: s}
		p.comment()
		return min(p.i, len(s))
	case ',', ';', ':':
		return 1
	}
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case !quoted && strings.IndexByte("<(,;:", c) >= 0 && i > 0:
			return i
		}
	}
	return len(s)
}

// comment encodes the text of a comment.
func (e encoder) comment(s string) string {
	inner := strings.TrimSuffix(s[1:], ")")
	return "(" + string(e.wordsAt(2, unquotePairs(inner))) + ")"
}

// phrase encodes a display name, which blanks have to be around (RFC 2047 §5
// (3)). With an at sign and neither an address in angle brackets after it nor
// a group's colon, it is an address, and stays.
func (e encoder) phrase(s, rest string) string {
	after := strings.TrimLeft(rest, " \t")
	if strings.Contains(s, "@") && (after == "" || after[0] != '<' && after[0] != ':') {
		return s
	}
	name := strings.Trim(s, " \t")
	lead := s[:strings.Index(s, name)]
	trail := s[len(lead)+len(name):]
	if trail == "" && rest != "" {
		trail = " "
	}
	return lead + string(e.wordsAt(maxWordLine/2, unquotePhrase(name))) + trail
}

// unquotePhrase is what a phrase says: without the quotes.
func unquotePhrase(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			continue
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func unquotePairs(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
