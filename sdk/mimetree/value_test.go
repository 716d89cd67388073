package mimetree

import (
	"strings"
	"testing"
)

// written is a field as InsertField writes it into a message with CRLF.
func written(t *testing.T, name, value string) string {
	t.Helper()
	tree := parse("\r\n")
	if err := tree.InsertField(Root, Top, name, value); err != nil {
		t.Fatalf("InsertField(%q, %q): %v", name, value, err)
	}
	return strings.TrimSuffix(all(t, tree), "\r\n")
}

func TestFieldIsWritten(t *testing.T) {
	for _, tt := range []struct{ name, field, value, want string }{
		{"ASCII", "Subject", "Hello", "Subject: Hello\r\n"},
		{"no value", "Subject", "", "Subject: \r\n"},
		{"exactly 78 octets", "Subject", strings.Repeat("a ", 34) + "z", "Subject: " + strings.Repeat("a ", 34) + "z\r\n"},
		{
			"long text is folded at 78", "Subject", strings.Repeat("word ", 20) + "end",
			"Subject:" + strings.Repeat(" word", 14) + "\r\n word word word word word word end\r\n",
		},
		{"a word without blanks stays whole", "X-Token", strings.Repeat("t", 200), "X-Token: " + strings.Repeat("t", 200) + "\r\n"},
		{"blanks are kept", "Subject", "a  b\tc", "Subject: a  b\tc\r\n"},
		{"text", "Subject", "Crêpes", "Subject: =?utf-8?q?Cr=C3=AApes?=\r\n"},
		{"only the words that need it", "Subject", "[list] Yummy Crêpes today", "Subject: [list] Yummy =?utf-8?q?Cr=C3=AApes?= today\r\n"},
		{"blanks between words that need it", "Subject", "é  è", "Subject: =?utf-8?b?w6kgIMOo?=\r\n"},
		{
			"long text in another script", "Subject", strings.Repeat("日本語", 10),
			"Subject: =?utf-8?b?5pel5pys6Kqe5pel5pys6Kqe5pel5pys6Kqe5pel5pys6Kqe5pel?=\r\n" +
				" =?utf-8?b?5pys6Kqe5pel5pys6Kqe5pel5pys6Kqe5pel5pys6Kqe5pel5pys6Kqe5pel?=\r\n" +
				" =?utf-8?b?5pys6Kqe?=\r\n",
		},
		{"what looks like an encoded word is encoded with the rest", "Subject", "=?x?= é", "Subject: =?utf-8?b?PT94Pz0gw6k=?=\r\n"},
		{"an encoded word of the plugin's stays", "Subject", "=?utf-8?q?a?= b", "Subject: =?utf-8?q?a?= b\r\n"},
		{
			"display name", "From", "Jürgen Müller <j@example.org>",
			"From: =?utf-8?q?J=C3=BCrgen_M=C3=BCller?= <j@example.org>\r\n",
		},
		{
			"quoted display name", "To", `"Müller, J." <j@example.org>, "Bob, B." <b@example.org>`,
			"To: =?utf-8?q?M=C3=BCller=2C_J=2E?= <j@example.org>, \"Bob, B.\"\r\n <b@example.org>\r\n",
		},
		{"no blank before the address", "To", "Jürgen<j@example.org>", "To: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n"},
		{"comment after an address", "From", "j@example.org (Jürgen)", "From: j@example.org (=?utf-8?q?J=C3=BCrgen?=)\r\n"},
		{"group", "To", "Köche: a@example.org, b@example.org;", "To: =?utf-8?q?K=C3=B6che?= : a@example.org, b@example.org;\r\n"},
		{"address that is not ASCII", "To", "Jürgen <jürgen@bücher.example>", "To: =?utf-8?q?J=C3=BCrgen?= <jürgen@bücher.example>\r\n"},
		{"bare address that is not ASCII", "To", "jürgen@bücher.example, x@y", "To: jürgen@bücher.example, x@y\r\n"},
		{"name without an address", "To", "Jürgen, Bob <b@example.org>", "To: =?utf-8?q?J=C3=BCrgen?= , Bob <b@example.org>\r\n"},
		{"parameter", "Content-Disposition", `attachment; filename="Crêpe.jpg"; size=3`, "Content-Disposition: attachment; filename*=utf-8''Cr%C3%AApe.jpg; size=3\r\n"},
		{"fixed grammar", "Message-ID", "<é@example.org>", "Message-ID: <é@example.org>\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := written(t, tt.field, tt.value); got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestFieldIsRefused(t *testing.T) {
	for name, f := range map[string][2]string{
		"line break":                  {"Subject", "a\r\nBcc: b"},
		"CR":                          {"Subject", "a\rb"},
		"LF":                          {"Subject", "a\nb"},
		"NUL":                         {"Subject", "a\x00b"},
		"octets that are not UTF-8":   {"Subject", "caf\xe9"},
		"no name":                     {"", "x"},
		"colon in the name":           {"A:B", "x"},
		"blank in the name":           {"A B", "x"},
		"name that is not ASCII":      {"Sübject", "x"},
		"line break in the name":      {"A\r\nB", "x"},
		"token too long for any line": {"Message-ID", "<" + strings.Repeat("a", 1000) + "@b>"},
		"blanks too long for a line":  {"Subject", "a" + strings.Repeat(" ", 1000) + "b"},
	} {
		tree := parse("Message-ID: b\r\nSubject: b\r\n\r\n")
		if err := tree.InsertField(Root, Top, f[0], f[1]); err == nil {
			t.Errorf("%s: wrote %q", name, all(t, tree))
		}
		if f[1] == "x" {
			continue
		}
		i, err := tree.FindField(Root, f[0], 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.SetField(Root, i, f[1]); err == nil || tree.Modified() {
			t.Errorf("%s: set %q, %v", name, all(t, tree), err)
		}
	}
}

func TestLongWordOfTextIsEncoded(t *testing.T) {
	value := strings.Repeat("a", 1500)
	tree := parse(written(t, "Subject", value) + "\r\n")
	if got, _ := tree.FieldValue(Root, 0, Decoded); string(got) != value {
		t.Errorf("reads as %q", got)
	}
}

func TestRawField(t *testing.T) {
	for _, tt := range []struct{ name, raw, want string }{
		{"with CRLF", "DKIM-Signature: v=1;\r\n\tb=abc\r\n", "DKIM-Signature: v=1;\r\n\tb=abc\r\n"},
		{"with LF, without an end", "X: a\n b", "X: a\r\n b\r\n"},
		{"8-bit", "X: \xe9", "X: \xe9\r\n"},
		{"no colon", "X a", ""},
		{"second field", "X: a\r\nY: b", ""},
		{"blank line", "X: a\r\n\r\n b", ""},
		{"line of blanks", "X: a\r\n \r\n b", ""},
		{"bare CR", "X: a\r b", ""},
		{"NUL", "X: \x00", ""},
		{"too long", "X: " + strings.Repeat("a", 1000), ""},
		{"empty", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := parse("A: b\r\n\r\n")
			err := tree.InsertRawField(Root, Bottom, tt.raw)
			if tt.want == "" {
				if err != ErrArgument || tree.Modified() {
					t.Errorf("got %v, %q", err, all(t, tree))
				}
				return
			}
			if got, want := all(t, tree), "A: b\r\n"+tt.want+"\r\n"; err != nil || got != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestFieldValue(t *testing.T) {
	for _, tt := range []struct{ name, field, raw, unfolded, decoded string }{
		{"plain", "A: b\r\n", " b", "b", "b"},
		{"folded", "A: b\r\n\tc \r\n  d\r\n", " b\r\n\tc \r\n  d", "b\tc   d", "b\tc   d"},
		{"nothing", "A:\r\n", "", "", ""},
		{"no line end", "A: b", " b", "b", "b"},
		{"words", "A: x =?utf-8?q?a_b?= =?iso-8859-1?Q?=E9?= y\r\n", " x =?utf-8?q?a_b?= =?iso-8859-1?Q?=E9?= y", "x =?utf-8?q?a_b?= =?iso-8859-1?Q?=E9?= y", "x a bé y"},
		{"a character cut in two", "A: =?utf-8?b?w?= =?UTF-8?B?qQ==?=\r\n", " =?utf-8?b?w?= =?UTF-8?B?qQ==?=", "=?utf-8?b?w?= =?UTF-8?B?qQ==?=", "\uFFFD"},
		{"octets cut in two", "A: =?utf-8?q?=C3?= =?UTF-8?q?=A9?=\r\n", " =?utf-8?q?=C3?= =?UTF-8?q?=A9?=", "=?utf-8?q?=C3?= =?UTF-8?q?=A9?=", "é"},
		{"a language", "A: =?us-ascii*en?q?a?=\r\n", " =?us-ascii*en?q?a?=", "=?us-ascii*en?q?a?=", "a"},
		{"charset not known", "A: =?x-no?q?a?= =?utf-8?q?b?=\r\n", " =?x-no?q?a?= =?utf-8?q?b?=", "=?x-no?q?a?= =?utf-8?q?b?=", "=?x-no?q?a?= b"},
		{"Shift JIS", "A: =?shift_jis?b?k/qWe4zq?=\r\n", " =?shift_jis?b?k/qWe4zq?=", "=?shift_jis?b?k/qWe4zq?=", "日本語"},
		{"no word after all", "A: =?utf-8?x?a?= =?\r\n", " =?utf-8?x?a?= =?", "=?utf-8?x?a?= =?", "=?utf-8?x?a?= =?"},
		{"8-bit", "A: caf\xe9 \u00e9\r\n", " caf\xe9 \u00e9", "caf\xe9 \u00e9", "caf\uFFFD é"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := parse(tt.field)
			for mode, want := range map[Mode]string{Raw: tt.raw, Unfolded: tt.unfolded, Decoded: tt.decoded} {
				if got, err := tree.FieldValue(Root, 0, mode); err != nil || string(got) != want {
					t.Errorf("mode %d: got %q, %v, want %q", mode, got, err, want)
				}
			}
		})
	}
}

func TestFields(t *testing.T) {
	tree := parse("Received: 1\r\nSubject: x\r\nreceived: 2\r\nRECEIVED : 3\r\n\r\nbody")
	for from, want := range []int{0, 2, 2, 3} {
		if got, err := tree.FindField(Root, "Received", from); err != nil || got != want {
			t.Errorf("FindField from %d: %d, %v, want %d", from, got, err, want)
		}
	}
	if _, err := tree.FindField(Root, "Received", 4); err != ErrNotFound {
		t.Errorf("FindField past the end: %v", err)
	}
	if err := tree.SetField(Root, 3, "4"); err != nil {
		t.Error(err)
	}
	if err := tree.RemoveField(Root, 1); err != nil {
		t.Error(err)
	}
	if got, want := all(t, tree), "Received: 1\r\nreceived: 2\r\nRECEIVED: 4\r\n\r\nbody"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	mark := tree.Mark()
	if n, err := tree.RemoveFields(Root, "received"); n != 3 || err != nil {
		t.Errorf("RemoveFields: %d, %v", n, err)
	}
	if got, want := all(t, tree), "\r\nbody"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	tree.Rollback(mark)
	if n, _ := tree.FieldCount(Root); n != 3 {
		t.Errorf("%d fields after Rollback", n)
	}
	if n, err := tree.RemoveFields(Root, "Subject"); n != 0 || err != nil {
		t.Errorf("RemoveFields of what is not there: %d, %v", n, err)
	}
	for name, err := range map[string]error{
		"set":    tree.SetField(Root, 9, "x"),
		"remove": tree.RemoveField(Root, -1),
		"insert": tree.InsertField(Root, 9, "X", "y"),
		"part":   tree.InsertField(7, 0, "X", "y"),
	} {
		if err != ErrNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, err := tree.Header(Root); err != nil || string(b) != "Received: 1\r\nreceived: 2\r\nRECEIVED: 4\r\n" {
		t.Errorf("Header: %q, %v", b, err)
	}
}
