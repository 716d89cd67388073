package main

import (
	"bytes"
	"strconv"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// A footer is what goes under bodies. Lines end in CRLF.
type footer struct {
	text   string // for text/plain; empty: none
	flowed string // text for format=flowed (RFC 3676)
	latin1 string // text in ISO-8859-1, if it can be written in that
	html   string // for text/html, in ASCII; empty: none
}

func (f *footer) empty() bool { return f.text == "" && f.html == "" }

// newFooter makes a footer of what the file says. Without HTML of its own, the
// HTML is made of the text.
func newFooter(text, html string) footer {
	text, html = strings.TrimRight(text, "\r\n"), strings.TrimRight(html, "\r\n")
	var f footer
	if text != "" {
		f.text = crlf(text)
		f.flowed = flow(f.text)
		f.latin1 = latin1(f.text)
		if html == "" {
			html = htmlOf(text)
		}
	}
	if html != "" {
		f.html = references(crlf(html))
	}
	return f
}

// crlf ends every line of s in CRLF.
func crlf(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.ReplaceAll(s, "\n", "\r\n") + "\r\n"
}

// flow makes each line one of format=flowed that is not joined to the next
// (RFC 3676 §4.2, §4.4).
func flow(s string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(s, "\r\n"), "\r\n") {
		if line != signature {
			line = strings.TrimRight(line, " ")
		}
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, ">") || strings.HasPrefix(line, "From ") {
			b.WriteByte(' ')
		}
		b.WriteString(line + "\r\n")
	}
	return b.String()
}

// signature is the line above a signature (RFC 3676 §4.3).
const signature = "-- "

// latin1 is s in ISO-8859-1; empty if that is impossible, or needless.
func latin1(s string) string {
	if isASCII(s) {
		return ""
	}
	var b []byte
	for _, r := range s {
		if r >= 0x80 && r < 0xA0 || r > 0xFF {
			return ""
		}
		b = append(b, byte(r))
	}
	return string(b)
}

// htmlOf is a text as a paragraph of HTML.
func htmlOf(text string) string {
	text = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return "<p>" + strings.ReplaceAll(text, "\n", "<br>\n") + "</p>"
}

// references writes what is not ASCII as character references, so that HTML
// means the same in every character set.
func references(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteByte(byte(r))
		} else {
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		}
	}
	return b.String()
}

// footers puts the footer under all bodies, and says under how many.
func (r *rewriter) footers() (n int, err error) {
	for _, b := range r.tree.bodies {
		if b.html && r.footer.html == "" || !b.html && r.footer.text == "" {
			continue
		}
		done, err := r.addTo(b)
		if err != nil {
			return n, err
		}
		if done {
			n++
		}
	}
	return n, nil
}

// addTo puts the footer under one body. The octets that are there stay as they
// are where the footer can be written in their character set; otherwise the
// body becomes UTF-8. One that cannot be read as text is left alone.
func (r *rewriter) addTo(b body) (bool, error) {
	octets := r.tree.octets(b)
	cs := charsetOf(b.part.Charset())
	text, fits := r.footer.in(cs, b)
	if fits {
		return r.append(b, "", octets, text, cs)
	}
	if cs == ascii && validUTF8(octets) { // ASCII, or UTF-8 under a wrong name
		return r.append(b, b.part.UTF8Type(), octets, r.footer.plain(b), utf8)
	}
	s, err := b.part.Text()
	if err != nil || strings.ContainsRune(s, unreadable) {
		mta.Info("no footer: a body cannot be read as text", "part", b.part.Path(), "charset", b.part.Charset())
		return false, nil
	}
	return r.append(b, b.part.UTF8Type(), []byte(s), r.footer.plain(b), utf8)
}

// unreadable stands in a text for octets that are no character.
const unreadable = '\uFFFD'

// plain is the footer for a body in UTF-8.
func (f *footer) plain(b body) string {
	switch {
	case b.html:
		return f.html
	case f.flowed != f.text && isFlowed(b.part):
		return f.flowed
	}
	return f.text
}

// in is the footer for a body as it can be put behind octets in a character
// set.
func (f *footer) in(cs charset, b body) (string, bool) {
	s := f.plain(b)
	switch {
	case cs == foreign:
		return "", false
	case cs == utf8 || isASCII(s):
		return s, true
	case cs == westEuropean && f.latin1 != "" && s == f.text:
		return f.latin1, true
	}
	return "", false
}

// append writes a body with the footer in it. One that has it already is left
// alone.
func (r *rewriter) append(b body, mediaType string, octets []byte, text string, cs charset) (bool, error) {
	if b.html {
		return r.appendHTML(b, mediaType, octets, text)
	}
	lineEnd := "\r\n"
	if bytes.IndexByte(octets, '\n') >= 0 && !bytes.Contains(octets, []byte("\r\n")) {
		lineEnd = "\n"
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	if bytes.HasSuffix(bytes.TrimRight(octets, "\r\n"), []byte(strings.TrimRight(text, "\r\n"))) {
		return false, nil
	}
	return true, b.part.Replace(mediaType, octets, []byte(gap(octets, lineEnd, cs)+b.last(octets, text)))
}

func (r *rewriter) appendHTML(b body, mediaType string, octets []byte, text string) (bool, error) {
	if bytes.Contains(octets, []byte(strings.TrimRight(text, "\r\n"))) {
		return false, nil
	}
	at, close := htmlEnd(octets)
	if at == len(octets) {
		text = b.last(octets, text)
	}
	return true, b.part.Replace(mediaType, octets[:at], []byte(close+text), octets[at:])
}

// last is what comes last in a body. Without a line end before, a part needs
// none after it: the one before the boundary is the boundary's (RFC 2046
// §5.1.1). A message ends with a line end.
func (b body) last(octets []byte, text string) string {
	if b.part.IsRoot() || bytes.HasSuffix(octets, []byte("\n")) {
		return text
	}
	return strings.TrimRight(text, "\r\n")
}

// gap is what comes between a body and what is put under it: an empty line.
func gap(octets []byte, lineEnd string, cs charset) string {
	shift := ""
	if cs == shifting {
		shift = backToASCII(octets)
	}
	switch {
	case len(octets) == 0:
		return ""
	case bytes.HasSuffix(octets, []byte(lineEnd+lineEnd)):
		return shift
	case bytes.HasSuffix(octets, []byte(lineEnd)):
		return shift + lineEnd
	}
	return shift + lineEnd + lineEnd
}

// isFlowed tells whether a part is format=flowed (RFC 3676 §4).
func isFlowed(p mta.Part) bool { return strings.EqualFold(p.Parameter("format"), "flowed") }
