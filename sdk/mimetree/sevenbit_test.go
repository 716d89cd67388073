package mimetree

import (
	"bytes"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
)

func TestTo7Bit(t *testing.T) {
	for _, tt := range []struct {
		name, message, want string
		done                Conversion
	}{
		{
			name:    "text becomes quoted-printable",
			message: "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nCr\u00eapes\r\n",
			want:    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCr=C3=AApes\r\n",
			done:    Conversion{Changed: true},
		},
		{
			name:    "text in another script becomes base64",
			message: "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n日本語日本語\r\n",
			want: "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
				"5pel5pys6Kqe5pel5pys6KqeDQo=\r\n",
			done: Conversion{Changed: true},
		},
		{
			name:    "a message without header section",
			message: "Do you like cr\u00eapes?\r\n",
			want:    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nDo you like cr=C3=AApes?\r\n",
			done:    Conversion{Changed: true},
		},
		{
			name:    "a message that names nothing, and is not UTF-8",
			message: "Subject: x\r\n\r\ncr\xeapes\r\n",
			want: "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n" +
				"Content-Transfer-Encoding: quoted-printable\r\n\r\ncr=EApes\r\n",
			done: Conversion{Changed: true},
		},
		{
			name: "containers say what they are, other parts stay",
			message: "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
				"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8BIT\r\n\r\nSubject: \u00ea\r\nMIME-Version: 1.0\r\n" +
				"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u00ea\r\n" +
				"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--b--\r\n\u00ea",
			want: "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n" +
				"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: =?utf-8?q?=C3=AA?=\r\nMIME-Version: 1.0\r\n" +
				"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=AA\r\n" +
				"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=41\r\n--b--\r\n??",
			done: Conversion{Changed: true},
		},
		{
			name: "what is signed is converted and reported",
			message: "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\u00ea\r\n" +
				"--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
			want: "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain; charset=utf-8\r\n" +
				"Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=AA\r\n" +
				"--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
			done: Conversion{Changed: true, Signed: true},
		},
		{
			name: "a field above what is signed breaks nothing",
			message: "Subject: \u00ea\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nx\r\n" +
				"--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
			want: "Subject: =?utf-8?q?=C3=AA?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\nx\r\n" +
				"--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
			done: Conversion{Changed: true},
		},
		{
			name: "header fields of every grammar",
			message: "From: J\u00fcrgen <j@example.org>\r\nTo: J\xfcrgen <j@example.org>\r\nReceived: by b (\u00ea)\r\nX-File: caf\xe9\r\n" +
				"Content-Type: text/plain (\u00ea); name=\"\u00ea.txt\"; x=y\r\nContent-Disposition: attachment; filename=\xea.txt\r\n\r\n",
			want: "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: =?unknown-8bit?q?J=FCrgen?= <j@example.org>\r\n" +
				"Received: by b (=?utf-8?q?=C3=AA?=)\r\nX-File: =?unknown-8bit?q?caf=E9?=\r\n" +
				"Content-Type: text/plain (??); name*=utf-8''%C3%AA.txt; x=y\r\nContent-Disposition: attachment; filename*=unknown-8bit''%EA.txt\r\n\r\n",
			done: Conversion{Changed: true},
		},
		{
			name:    "an address that is not ASCII is left",
			message: "From: J\u00fcrgen <j\u00fcrgen@example.org>\r\n\r\n",
			want:    "From: =?utf-8?q?J=C3=BCrgen?= <j\u00fcrgen@example.org>\r\n\r\n",
			done:    Conversion{Changed: true, Left: true},
		},
		{
			name:    "binary",
			message: "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\na\nb",
			want:    "MIME-Version: 1.0\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=0Ab",
			done:    Conversion{Changed: true},
		},
		{
			name:    "quoted-printable that is not 7-bit",
			message: "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=AA\u00ea=\r\n\r\n",
			want:    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=AA=C3=AA\r\n",
			done:    Conversion{Changed: true},
		},
		{
			name:    "7-bit, though it says otherwise",
			message: "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n",
			want:    "Content-Transfer-Encoding: 8bit\r\n\r\nx\r\n",
		},
		{
			name: "7-bit with LF", message: "A: b\n\nx\n", want: "A: b\n\nx\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, done, err := To7Bit(parse(tt.message))
			if err != nil {
				t.Fatal(err)
			}
			if got := all(t, out); got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			if done != tt.done {
				t.Errorf("got %+v, want %+v", done, tt.done)
			}
			checkTo7Bit(t, tt.message)
		})
	}
}

// TestTo7BitOfAnEditedTree holds that edits are in it, and that the tree goes on
// as before.
func TestTo7BitOfAnEditedTree(t *testing.T) {
	tree := parse(nested)
	if err := tree.InsertField(Root, Top, "X", "y"); err != nil {
		t.Fatal(err)
	}
	if err := tree.Remove(at(t, tree, "2")); err != nil {
		t.Fatal(err)
	}
	before := all(t, tree)
	out, done, err := To7Bit(tree)
	if err != nil || !done.Changed {
		t.Fatal(done, err)
	}
	if got := all(t, out); !strings.HasPrefix(got, "X: y\r\n") || strings.Contains(got, "image/jpeg") || !is7Bit([]byte(got)) {
		t.Errorf("got %q", got)
	}
	if all(t, tree) != before {
		t.Error("the tree changed")
	}
	tree.Rollback(0)
	if all(t, tree) != nested {
		t.Error("Rollback after To7Bit")
	}
}

// TestLarge8BitBody holds that a large body is encoded as it is read, and not
// before.
func TestLarge8BitBody(t *testing.T) {
	src := &repeated{head: "Content-Type: text/plain; charset=iso-8859-1\r\n\r\n", body: "na\xefve text\r\n", times: 1 << 18}
	out, done, err := To7Bit(Parse(src, Limits{}))
	if err != nil || !done.Changed {
		t.Fatal(done, err)
	}
	o, err := out.Octets()
	if err != nil || o.EightBit || o.Bare || o.Longest > base64Line {
		t.Errorf("%+v, %v", o, err)
	}
	r, err := out.OpenPart(Root, Content)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil || string(b) != strings.Repeat(src.body, int(src.times)) {
		t.Errorf("%d octets, %v, want %d", len(b), err, int(src.times)*len(src.body))
	}
}

func TestOctets(t *testing.T) {
	for message, want := range map[string]Octets{
		"":                       {},
		"abc":                    {Longest: 3},
		"abc\r\nde\r\n":          {Longest: 3},
		"\xe9":                   {EightBit: true, Longest: 1},
		"\x00":                   {NUL: true, Longest: 1},
		"a\nbb":                  {Bare: true, Longest: 2},
		"a\rb":                   {Bare: true, Longest: 3},
		"a\r":                    {Bare: true, Longest: 2},
		"a\r\r\n":                {Bare: true, Longest: 2},
		"\n":                     {Bare: true},
		strings.Repeat("x", 999): {Longest: 999},
	} {
		if got, err := parse(message).Octets(); err != nil || got != want {
			t.Errorf("%.20q: got %+v, %v, want %+v", message, got, err, want)
		}
		var s octetScanner
		for i := range len(message) {
			s.Write([]byte{message[i]})
		}
		if s.end(); s.Octets != want {
			t.Errorf("%.20q, one by one: got %+v, want %+v", message, s.Octets, want)
		}
	}
}

// FuzzQuoted holds that what is encoded comes back, here and in the decoder
// of the standard library.
func FuzzQuoted(f *testing.F) {
	for _, s := range texts {
		f.Add([]byte(s), true)
	}
	f.Add([]byte(" \t\r\n= \r\n\t"), true)
	f.Fuzz(func(t *testing.T, octets []byte, crlf bool) {
		eol := "\n"
		if crlf {
			eol = "\r\n"
		}
		q := appendQuoted(nil, octets, eol)
		if !is7Bit(q) || linesOf(q).longest > quotedLine {
			t.Fatalf("%q became %q", octets, q)
		}
		if got := decodeQuoted(q); !bytes.Equal(got, octets) {
			t.Fatalf("%q became %q, which reads as %q", octets, q, got)
		}
		if got, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader(q))); err != nil || !bytes.Equal(got, octets) {
			t.Fatalf("%q became %q, which others read as %q, %v", octets, q, got, err)
		}
	})
}
