package mimetree

import (
	"strings"
	"testing"
)

// TestTextStaysAsItWasWritten holds that what was encoded in its own way stays
// so where the text is the same.
func TestTextStaysAsItWasWritten(t *testing.T) {
	const quoted = "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	const encoded = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	for _, tt := range []struct{ name, message, old, now, want string }{
		{
			"a footer below quoted-printable", quoted + "=41b=\r\n=e9 \r\n=63\r\n", "c\r\n", "c\r\n-- \nFu\u00df\n",
			quoted + "=41b=\r\n=e9 \r\n=63\r\n--=20\r\nFu=DF\r\n",
		},
		{
			"a footer below a last line without end", quoted + "=41\r\n=42", "B", "B\n--\n",
			quoted + "=41\r\nB\r\n--\r\n",
		},
		{
			"a line above", quoted + "=41\r\n=42", "A\r\n", "Note:\nA\r\n",
			quoted + "Note:\r\n=41\r\n=42",
		},
		{
			"words in the middle", quoted + "=41\r\n=42\r\n=43\r\n", "B", "\u00e9",
			quoted + "=41\r\n=E9\r\n=43\r\n",
		},
		{
			"the beginning of a line", quoted + "=41\r\n=42\r\n", "B", "xB",
			quoted + "=41\r\nxB\r\n",
		},
		{
			"all of it", quoted + "=41\r\n=42", "A\r\nB", "C", quoted + "C",
		},
		{
			"a footer below base64", encoded + "SGVs\r\nbG8g\r\nQm9i\r\nIQ==\r\n", "!", "!\n--\n",
			encoded + "SGVs\r\nbG8g\r\nQm9i\r\nIQ0KLS0NCg==\r\n",
		},
		{
			"8-bit that nobody named", "Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xe9\r\n", "é\r\n", "é\r\nè\n",
			"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n\xe8\r\n",
		},
		{
			"lines that end in LF where others do in CRLF", "Content-Type: text/plain\r\n\r\none\ntwo\r\n", "two\r\n", "two\r\n--\n",
			"Content-Type: text/plain\r\n\r\none\ntwo\r\n--\r\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := parse(tt.message)
			text := strings.Replace(read(t, tree, Root, Text), tt.old, tt.now, 1)
			if err := tree.ReplaceText(Root, text); err != nil {
				t.Fatal(err)
			}
			if got := all(t, tree); got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			if got := read(t, parse(all(t, tree)), Root, Text); strings.ReplaceAll(got, "\r", "") != strings.ReplaceAll(text, "\r", "") {
				t.Errorf("reads as %q, want %q", got, text)
			}
		})
	}
}
