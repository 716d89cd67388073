package mimetree

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Lengths of header lines, without their line end.
const (
	maxLine  = 998 // RFC 5322 §2.1.1
	foldLine = 78  // RFC 5322 §2.1.1
	maxName  = 255 // octets of a field name that we write; RFC 5322 sets no bound but the line
)

// format is a whole field for a value of UTF-8 in one line.
func (t *Tree) format(name, value string) ([]byte, error) {
	if strings.ContainsAny(value, "\r\n\x00") || !utf8.ValidString(value) {
		return nil, ErrArgument
	}
	return fold(name, encodeValue(name, value), t.eol)
}

// A grammar is how a field's value is made, as far as encoding it goes.
type grammar int

const (
	text       grammar = iota // words
	addresses                 // with display names and comments
	parameters                // after semicolons
	fixed                     // nothing in it can be encoded
)

// grammars of the fields whose value is not text.
var grammars = func() map[string]grammar {
	m := map[string]grammar{}
	for g, names := range map[grammar]string{
		addresses: "from sender reply-to to cc bcc resent-from resent-sender resent-reply-to resent-to resent-cc " +
			"resent-bcc return-path delivered-to disposition-notification-to mail-reply-to mail-followup-to " +
			"errors-to apparently-to list-id",
		parameters: "content-type content-disposition",
		fixed: "received message-id in-reply-to references resent-message-id date resent-date mime-version content-id " +
			"content-transfer-encoding content-location content-md5 content-language dkim-signature " +
			"authentication-results received-spf arc-seal arc-message-signature arc-authentication-results " +
			"list-help list-unsubscribe list-subscribe list-post list-owner list-archive list-unsubscribe-post " +
			"autocrypt openpgp newsgroups path",
	} {
		for name := range strings.FieldsSeq(names) {
			m[name] = g
		}
	}
	return m
}()

func grammarOf(name string) grammar { return grammars[strings.ToLower(name)] }

// encodeValue encodes what needs it in a value, as far as the field allows
// it. It is described at [Tree.SetField].
func encodeValue(name, value string) string {
	g := grammarOf(name)
	switch {
	case isASCII(value):
		if g == text && longestWord(value) > maxLine-len(name)-len(": ") {
			return utf8Words.text(name, value)
		}
		return value
	case g == addresses:
		return utf8Words.addresses(value)
	case g == parameters:
		return utf8Words.params(value)
	case g == fixed:
		return value
	}
	return utf8Words.text(name, value)
}

// An encoder writes what is not ASCII in a character set of that name.
type encoder struct{ charset string }

var utf8Words = encoder{"utf-8"}

// longestWord is the length of the longest run without blanks.
func longestWord(s string) int {
	longest, n := 0, 0
	for i := range len(s) {
		n++
		if isBlankOctet(s[i]) {
			n = 0
		}
		longest = max(longest, n)
	}
	return longest
}

// text encodes from the first word to the last that need it. What looks
// like an encoded word among them is text like the rest.
func (e encoder) text(name, value string) string {
	start, end := len(value), 0
	for i := 0; i < len(value); {
		n := wordLen(value[i:])
		if w := value[i : i+n]; !isASCII(w) || len(w) > maxLine/2 || strings.Contains(w, "=?") {
			start, end = min(start, i), i+n
		}
		i += n
		for i < len(value) && isBlankOctet(value[i]) {
			i++
		}
	}
	if start > end {
		return value
	}
	return value[:start] + string(e.wordsAt(len(name)+len(": ")+start, value[start:end])) + value[end:]
}

// leastRoom is what an encoded word needs to be of use in what is left of a
// line.
const leastRoom = 32

// wordsAt is text as encoded words, which begin in that column if there is
// room for one; fold puts them in the next line if there is not.
func (e encoder) wordsAt(column int, text string) []byte {
	if column > maxWordLine-leastRoom {
		column = 1
	}
	return appendWords(nil, e.charset, text, column)
}

// wordLen is the length of the word at the front of s.
func wordLen(s string) int {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return i
	}
	return len(s)
}

// runeSize is the length of the character at the front of s.
func runeSize(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// fold writes a field, with line ends before blanks so that lines have up to
// 78 octets where that can be had (RFC 5322 §2.2.3). Unfolding it gives value
// again. A line is never made of blanks alone (RFC 5322 §3.2.2), and the first
// one has more than the name if it can.
func fold(name, value, eol string) ([]byte, error) {
	out := make([]byte, 0, len(name)+len(value)+len(value)/foldLine*len(eol)+8)
	out = append(append(out, name...), ": "...)
	column, fresh := len(out), true
	limit := foldLine
	if strings.Contains(value, "=?") {
		limit = maxWordLine
	}
	rest := value
	for rest != "" {
		gap := len(rest) - len(strings.TrimLeft(rest, " \t"))
		n := gap + wordLen(rest[gap:])
		most := limit
		if fresh {
			most = maxLine
			if strings.HasPrefix(rest[gap:], "=?") && n-gap <= maxWord {
				most = limit
			}
		}
		if column+n > most && n > gap && (gap > 0 || fresh) {
			if fresh && gap == 0 { // the blank after the colon begins the next line
				out = append(out[:len(out)-1], eol...)
				out, column = append(out, ' '), 1
			} else {
				out, column = append(out, eol...), 0
			}
		}
		out = append(out, rest[:n]...)
		if column += n; column > maxLine {
			return nil, fmt.Errorf("header field %s has a line that cannot be folded: %w", name, ErrArgument)
		}
		rest, fresh = rest[n:], false
	}
	return append(out, eol...), nil
}
