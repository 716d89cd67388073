package mimetree

import "testing"

// awkward are messages that other programs stumble over, and what they look
// like when a field is added at the top and at the bottom.
var awkward = []struct {
	name, message string
	top, bottom   string
}{
	{
		name:    "ordinary",
		message: "From: a@b\r\nSubject: x\r\n\r\nbody\r\n",
		top:     "X: y\r\nFrom: a@b\r\nSubject: x\r\n\r\nbody\r\n",
		bottom:  "From: a@b\r\nSubject: x\r\nX: y\r\n\r\nbody\r\n",
	},
	{
		name:    "no header section, as in the lecture",
		message: "Do you like ketchup?\r\nHow about pickles?\r\n",
		top:     "X: y\r\n\r\nDo you like ketchup?\r\nHow about pickles?\r\n",
		bottom:  "X: y\r\n\r\nDo you like ketchup?\r\nHow about pickles?\r\n",
	},
	{
		name:    "no header section but our trace field",
		message: "Received: from a\r\n\tby b; date\r\nDo you like ketchup?\r\n",
		top:     "X: y\r\nReceived: from a\r\n\tby b; date\r\n\r\nDo you like ketchup?\r\n",
		bottom:  "Received: from a\r\n\tby b; date\r\nX: y\r\n\r\nDo you like ketchup?\r\n",
	},
	{
		name:    "no blank line",
		message: "Subject: x\r\nHello there\r\nSubject: not this\r\n",
		top:     "X: y\r\nSubject: x\r\nHello there\r\nSubject: not this\r\n",
		bottom:  "Subject: x\r\nX: y\r\nHello there\r\nSubject: not this\r\n",
	},
	{
		name:    "empty header section",
		message: "\r\nbody",
		top:     "X: y\r\n\r\nbody",
		bottom:  "X: y\r\n\r\nbody",
	},
	{
		name: "empty message", message: "",
		top: "X: y\r\n", bottom: "X: y\r\n",
	},
	{
		name: "one line end", message: "\r\n",
		top: "X: y\r\n\r\n", bottom: "X: y\r\n\r\n",
	},
	{
		name: "header section only", message: "Subject: x\r\n",
		top: "X: y\r\nSubject: x\r\n", bottom: "Subject: x\r\nX: y\r\n",
	},
	{
		name: "no line end after the only field", message: "Subject: x",
		top: "X: y\r\nSubject: x", bottom: "Subject: x\r\nX: y\r\n",
	},
	{
		name: "no line end after the body", message: "Subject: x\r\n\r\nbody",
		top: "X: y\r\nSubject: x\r\n\r\nbody", bottom: "Subject: x\r\nX: y\r\n\r\nbody",
	},
	{
		name: "LF only", message: "Subject: x\n\nbody\n",
		top: "X: y\nSubject: x\n\nbody\n", bottom: "Subject: x\nX: y\n\nbody\n",
	},
	{
		name: "LF in the header section, CRLF in the body", message: "Subject: x\n\nbody\r\n",
		top: "X: y\r\nSubject: x\n\nbody\r\n", bottom: "Subject: x\nX: y\r\n\nbody\r\n",
	},
	{
		name: "bare CR", message: "Subject: a\rb\r\n\r\nc\rd\r\n",
		top: "X: y\r\nSubject: a\rb\r\n\r\nc\rd\r\n", bottom: "Subject: a\rb\r\nX: y\r\n\r\nc\rd\r\n",
	},
	{
		name: "CR CR LF", message: "Subject: a\r\r\n\r\r\nb\r\r\n",
		top: "X: y\r\nSubject: a\r\r\n\r\r\nb\r\r\n", bottom: "Subject: a\r\r\nX: y\r\n\r\r\nb\r\r\n",
	},
	{
		name: "mailbox file's first line", message: "From a@b Mon Jan  1 12:00:00 2024\r\nSubject: x\r\n\r\nbody",
		top:    "From a@b Mon Jan  1 12:00:00 2024\r\nX: y\r\nSubject: x\r\n\r\nbody",
		bottom: "From a@b Mon Jan  1 12:00:00 2024\r\nSubject: x\r\nX: y\r\n\r\nbody",
	},
	{
		name: "mailbox file's line below our trace field", message: "Received: by b\r\n>From a@b Mon\r\nSubject: x\r\n\r\nbody",
		top:    "X: y\r\nReceived: by b\r\n>From a@b Mon\r\nSubject: x\r\n\r\nbody",
		bottom: "Received: by b\r\n>From a@b Mon\r\nSubject: x\r\nX: y\r\n\r\nbody",
	},
	{
		name: "mailbox file's line and then a blank", message: "From a@b Mon\r\n body\r\n",
		top: "From a@b Mon\r\nX: y\r\n\r\n body\r\n", bottom: "From a@b Mon\r\nX: y\r\n\r\n body\r\n",
	},
	{
		name: "continuation as first line", message: " not a field\r\nSubject: x\r\n",
		top: "X: y\r\n\r\n not a field\r\nSubject: x\r\n", bottom: "X: y\r\n\r\n not a field\r\nSubject: x\r\n",
	},
	{
		name: "line of blanks in a field", message: "Subject: x\r\n \r\n y\r\n\r\nbody",
		top: "X: y\r\nSubject: x\r\n \r\n y\r\n\r\nbody", bottom: "Subject: x\r\n \r\n y\r\nX: y\r\n\r\nbody",
	},
	{
		name: "blanks before the colon", message: "Subject : x\r\n\r\n",
		top: "X: y\r\nSubject : x\r\n\r\n", bottom: "Subject : x\r\nX: y\r\n\r\n",
	},
	{
		name: "colon without a name", message: "A: b\r\n: c\r\n\r\n",
		top: "X: y\r\nA: b\r\n: c\r\n\r\n", bottom: "A: b\r\nX: y\r\n: c\r\n\r\n",
	},
	{
		name: "8-bit header fields", message: "Subject: caf\xe9\r\nFrom: J\u00fcrgen <j\u00fc@b>\r\n\r\nna\xefve\r\n",
		top:    "X: y\r\nSubject: caf\xe9\r\nFrom: J\u00fcrgen <j\u00fc@b>\r\n\r\nna\xefve\r\n",
		bottom: "Subject: caf\xe9\r\nFrom: J\u00fcrgen <j\u00fc@b>\r\nX: y\r\n\r\nna\xefve\r\n",
	},
	{
		name: "preamble, epilogue, nested multiparts", message: nested,
		top: "X: y\r\n" + nested,
	},
	{
		name:    "no final boundary",
		message: "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo \xe9",
	},
	{
		name:    "final boundary only",
		message: "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\nna\xefve",
	},
	{
		name:    "multipart without a boundary parameter",
		message: "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\n\xe9\r\n--b--\r\n",
	},
	{
		name:    "empty parts",
		message: "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b--",
	},
	{
		name:    "parts without header sections",
		message: "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nna\xefve\r\n--b\r\n\xe9\r\n--b--\r\n\xe9",
	},
	{
		name:    "blanks after boundaries, LF among CRLF",
		message: "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b \t\r\n\r\none\n--b\n\ntwo\r\n--b--  \r\n",
	},
	{
		name: "boundary that is the beginning of another",
		message: "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n" +
			"--bb\r\n\r\n\xe9\r\n--bb--\r\n--b--\r\n",
	},
	{
		name:    "message in a message, 8-bit",
		message: "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: \u00fc\r\n\r\nna\xefve\r\n",
	},
	{
		name:    "message that is encoded, which is forbidden",
		message: "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5\r\n\xe9",
	},
	{
		name:    "binary",
		message: "Content-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\n\r\xff",
	},
	{
		name: "signed",
		message: "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain; charset=utf-8\r\n" +
			"Content-Transfer-Encoding: 8bit\r\n\r\n\u00fc\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n",
	},
	{
		name: "parameters of all kinds",
		message: "Content-Type: text/plain (a comment); charset=\"iso-8859-1; name*0*=utf-8''%c3%bc; name*1=.txt\r\n" +
			"Content-Disposition: attachment; filename=caf\xe9 au lait.txt\r\n\r\n\xe9",
	},
	{
		name:    "quoted-printable with all that is wrong in it",
		message: "Content-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n=e9=Z=3 \t\r\nx=  \r\n\xe9 =",
	},
	{
		name:    "digest",
		message: "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\ny\r\n--b--\r\n",
	},
	{
		name:    "encoded words that go on",
		message: "Subject: =?utf-8?b?w?=\r\n =?utf-8?B?7w=?= =?x-no?q?a?= =?utf-8?q?=C3?=\t=?UTF-8?Q?=BC_?= =?q?\r\n\r\n",
	},
}

const nested = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"outer\"\r\n\r\n" +
	"This is a preamble.\r\n" +
	"--outer\r\nContent-Type: multipart/alternative; boundary=inner\r\n\r\n" +
	"--inner\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCr=EApes\r\n" +
	"--inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Cr\u00eapes</p>\r\n" +
	"--inner--\r\ninner epilogue\r\n" +
	"--outer\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=crepe.jpg\r\n\r\n" +
	"/9j/4AAQSkZJRg==\r\n" +
	"--outer--\r\nThis is an epilogue.\r\n"

func TestAwkward(t *testing.T) {
	for _, tt := range awkward {
		t.Run(tt.name, func(t *testing.T) {
			tree := parse(tt.message)
			ids(t, tree)
			if got := all(t, tree); got != tt.message {
				t.Errorf("unedited: got %q, want %q", got, tt.message)
			}
			for index, want := range map[int]string{Top: tt.top, Bottom: tt.bottom} {
				if want == "" {
					continue
				}
				if err := tree.InsertField(Root, index, "X", "y"); err != nil {
					t.Errorf("InsertField at %d: %v", index, err)
				}
				if got := all(t, tree); got != want {
					t.Errorf("a field at %d:\n got %q\nwant %q", index, got, want)
				}
				tree.Rollback(0)
				if got := all(t, tree); got != tt.message {
					t.Errorf("rolled back: got %q, want %q", got, tt.message)
				}
			}
			checkTo7Bit(t, tt.message)
		})
	}
}
