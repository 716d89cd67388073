package main

import (
	"regexp"
	"testing"
)

func TestNewFooter(t *testing.T) {
	f := newFooter("Grüße & <Küsse>\nvon uns  \n> x\n-- \nFrom me\n", "")
	for _, tt := range []struct{ name, got, want string }{
		{"text", f.text, "Grüße & <Küsse>\r\nvon uns  \r\n> x\r\n-- \r\nFrom me\r\n"},
		{"flowed", f.flowed, "Grüße & <Küsse>\r\nvon uns\r\n > x\r\n-- \r\n From me\r\n"},
		{"Latin-1", f.latin1, "Gr\xfc\xdfe & <K\xfcsse>\r\nvon uns  \r\n> x\r\n-- \r\nFrom me\r\n"},
		{"HTML", f.html, "<p>Gr&#252;&#223;e &amp; &lt;K&#252;sse&gt;<br>\r\nvon uns  <br>\r\n&gt; x<br>\r\n-- <br>\r\nFrom me</p>\r\n"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.name, tt.got, tt.want)
		}
	}
	if f := newFooter("", "<hr>"); f.text != "" || f.html != "<hr>\r\n" {
		t.Errorf("HTML alone: %+v", f)
	}
	if f := newFooter("100 €", ""); f.latin1 != "" {
		t.Errorf("the euro is not in Latin-1: %q", f.latin1)
	}
}

func TestCharsetOf(t *testing.T) {
	for name, want := range map[string]charset{
		"": ascii, "US-ASCII": ascii, "UTF-8": utf8, "iso-8859-1": westEuropean, "Windows-1251": superset,
		"koi8-r": superset, "ISO-2022-JP": shifting, "utf-16le": foreign, "utf-7": foreign, "ibm037": foreign, "x-what": foreign,
	} {
		if got := charsetOf(name); got != want {
			t.Errorf("%s is %d, want %d", name, got, want)
		}
	}
}

func TestBackToASCII(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"ASCII only", "abc", ""},
		{"ends in Japanese", "a\x1b$B0!", "\x1b(B"},
		{"ends in ASCII", "a\x1b$B0!\x1b(Bc", ""},
		{"Korean, shifted out", "\x1b$)Ca\x0e0!", "\x0f"},
		{"Korean, shifted in", "\x1b$)Ca\x0e0!\x0f", ""},
	} {
		if got := backToASCII([]byte(tt.in)); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCutReplies(t *testing.T) {
	for in, want := range map[string]string{
		"Hello": "Hello", "Re: Hello": "Hello", "AW: WG:Re[2]:  Hello": "Hello", "Note: x": "x",
		"Hello: x": "Hello: x", ":x": ":x", "Re[x]: y": "Re[x]: y", "": "", "Re:": "", "1: x": "1: x",
	} {
		if got := cutReplies(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestHasPGP(t *testing.T) {
	for in, want := range map[string]bool{
		"-----BEGIN PGP SIGNED MESSAGE-----\r\n":        true,
		"Hi\r\n-----BEGIN PGP MESSAGE-----\r\n":         true,
		"<pre>-----BEGIN PGP MESSAGE-----":              true,
		"> -----BEGIN PGP MESSAGE-----":                 false,
		"-----BEGIN PGP PUBLIC KEY BLOCK-----":          false,
		"x -----BEGIN PGP x\n-----BEGIN PGP MESSAGE---": true,
		"": false,
	} {
		if got := hasPGP([]byte(in)); got != want {
			t.Errorf("%q: got %t, want %t", in, got, want)
		}
	}
}

// FuzzHasPGP holds the search against a plain one.
func FuzzHasPGP(f *testing.F) {
	f.Add("x\n-----BEGIN PGP MESSAGE-----")
	f.Add("------BEGIN PGP MESSAGE-----")
	f.Add("-----BEGIN PGP KEY-----BEGIN PGP \n-----BEGIN PGP SIGNED MESSAGE")
	plain := regexp.MustCompile(`(^|[\n>])-----BEGIN PGP (SIGNED )?MESSAGE`)
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := hasPGP([]byte(s)), plain.MatchString(s); got != want {
			t.Fatalf("%q: got %t, want %t", s, got, want)
		}
	})
}

func TestExtension(t *testing.T) {
	for in, want := range map[string]string{
		"a.exe": "exe", "a.PDF.Exe": "exe", "a.exe. .": "exe", "a": "", ".bashrc": "bashrc", "": "", "a.": "",
	} {
		if got := extension(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
