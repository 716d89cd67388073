package main

import (
	"bytes"
	"strings"
	unicode "unicode/utf8"
)

// A charset is how ASCII can be put behind text in a character set.
type charset byte

const (
	ascii        charset = iota // ASCII, or none was named
	utf8                        //
	westEuropean                // ISO-8859-1 and windows-1252
	superset                    // ASCII means ASCII, anything else is unknown
	shifting                    // ISO-2022: ASCII after an escape sequence
	foreign                     // ASCII has to be converted: UTF-16, UTF-7, EBCDIC…
)

var charsets = map[string]charset{
	"": ascii, "us-ascii": ascii, "ascii": ascii, "ansi_x3.4-1968": ascii, "7bit": ascii,
	"utf-8": utf8, "utf8": utf8,
	"iso-8859-1": westEuropean, "latin1": westEuropean, "windows-1252": westEuropean, "cp1252": westEuropean,
	"big5": superset, "big5-hkscs": superset, "gb2312": superset, "gbk": superset, "gb18030": superset,
	"shift_jis": superset, "sjis": superset, "tis-620": superset, "macintosh": superset,
}

// families are told by how a name begins.
var families = []struct {
	prefix string
	is     charset
}{
	{"iso-8859-", superset}, {"iso8859-", superset}, {"windows-", superset}, {"cp125", superset},
	{"koi8-", superset}, {"euc-", superset}, {"x-mac-", superset}, {"ks_c_5601", superset},
	{"iso-2022-", shifting},
}

func charsetOf(name string) charset {
	name = strings.ToLower(name)
	if cs, ok := charsets[name]; ok {
		return cs
	}
	for _, f := range families {
		if strings.HasPrefix(name, f.prefix) {
			return f.is
		}
	}
	return foreign
}

func validUTF8(b []byte) bool { return unicode.Valid(b) }

// backToASCII is what ends a text of ISO-2022 in ASCII, if it does not already
// (RFC 1468, RFC 1557, RFC 1922).
func backToASCII(b []byte) string {
	s := ""
	if bytes.LastIndexByte(b, 0x0e) > bytes.LastIndexByte(b, 0x0f) { // shifted out
		s = "\x0f"
	}
	i := bytes.LastIndexByte(b, 0x1b)
	if i >= 0 && !bytes.HasPrefix(b[i:], []byte("\x1b(B")) && !bytes.HasPrefix(b[i:], []byte("\x1b$)")) {
		s += "\x1b(B"
	}
	return s
}
