package main

import "bytes"

// htmlEnd is where something can be put so that a browser shows it last: the
// last `</body>`, else the last `</html>`, else the end. close is what has to
// stand before it, where the text ends within a comment, a tag or a script.
//
// It does not parse: it follows comments, tags, and elements whose content is
// no markup, as browsers do, and takes any octets (HTML §13.2.5).
func htmlEnd(b []byte) (at int, close string) {
	body, html := -1, -1
	for i := 0; i < len(b); {
		lt := bytes.IndexByte(b[i:], '<')
		if lt < 0 {
			break
		}
		i += lt
		rest := b[i:]
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			n := commentLen(rest)
			if n < 0 {
				return tail(b, body, html, "-->")
			}
			i += n
		case isTag(rest, "</body"):
			body = i
			i += len("</body")
		case isTag(rest, "</html"):
			html = i
			i += len("</html")
		case len(rest) > 1 && (isLetter(rest[1]) || rest[1] == '/' && len(rest) > 2 && isLetter(rest[2])):
			n, close := elementLen(rest)
			if n < 0 {
				return tail(b, body, html, close)
			}
			i += n
		default:
			i++
		}
	}
	return tail(b, body, html, "")
}

// tail chooses the place. What is open at the end has to be closed only if the
// place is the end.
func tail(b []byte, body, html int, close string) (int, string) {
	switch {
	case body >= 0:
		return body, ""
	case html >= 0:
		return html, ""
	}
	return len(b), close
}

// commentLen is the length of the comment that b begins with; -1: no end.
func commentLen(b []byte) int {
	for _, short := range [...]string{"<!-->", "<!--->"} {
		if bytes.HasPrefix(b, []byte(short)) {
			return len(short)
		}
	}
	for i := len("<!--"); ; i++ {
		dashes := bytes.Index(b[i:], []byte("--"))
		if dashes < 0 {
			return -1
		}
		i += dashes
		for _, end := range [...]string{"-->", "--!>"} {
			if bytes.HasPrefix(b[i:], []byte(end)) {
				return i + len(end)
			}
		}
	}
}

// elementLen is the length of the tag that b begins with, and of what is in
// the element if that is no markup; -1 if it does not end, and then what ends
// it.
func elementLen(b []byte) (n int, close string) {
	name, end := rawElement(b), ""
	if name != "" {
		end = "</" + name + ">"
	}
	if n, close = tagLen(b); n < 0 || name == "" {
		return n, close + end
	}
	in := endOf(b[n:], name)
	if in < 0 {
		return -1, end
	}
	return n + in, ""
}

// tagLen is the length of the tag that b begins with; -1 if it does not end,
// and then what ends it.
func tagLen(b []byte) (n int, close string) {
	for i := 1; i < len(b); i++ {
		switch c := b[i]; c {
		case '>':
			return i + 1, ""
		case '"', '\'':
			// A quote means something only where a value begins.
			if !afterEquals(b[:i]) {
				continue
			}
			end := bytes.IndexByte(b[i+1:], c)
			if end < 0 {
				return -1, string(c) + ">"
			}
			i += 1 + end
		}
	}
	return -1, ">"
}

func afterEquals(b []byte) bool {
	b = bytes.TrimRight(b, " \t\r\n\f")
	return len(b) > 0 && b[len(b)-1] == '='
}

// rawElements have content that is no markup (HTML §13.2.6).
var rawElements = [...]string{"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"}

// rawElement is the name of the raw element whose tag b begins with.
func rawElement(b []byte) string {
	for _, name := range rawElements {
		if isTag(b, "<"+name) {
			return name
		}
	}
	return ""
}

// endOf is where the end tag of a raw element begins; -1: nowhere.
func endOf(b []byte, name string) int {
	for i := 0; ; {
		lt := bytes.Index(b[i:], []byte("</"))
		if lt < 0 {
			return -1
		}
		i += lt
		if isTag(b[i:], "</"+name) {
			return i
		}
		i += 2
	}
}

// isTag tells whether b begins with a tag, in any case of letters: its name
// and something that ends a name.
func isTag(b []byte, tag string) bool {
	if len(b) < len(tag) {
		return false
	}
	for i := range len(tag) {
		c := b[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != tag[i] {
			return false
		}
	}
	if len(b) == len(tag) {
		return true
	}
	switch b[len(tag)] {
	case '>', '/', ' ', '\t', '\r', '\n', '\f':
		return true
	}
	return false
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
