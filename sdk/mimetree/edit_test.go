package mimetree

import (
	"bytes"
	"encoding/base64"
	"mime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// at is the part at a path.
func at(t rapid.TB, tree *Tree, path string) ID {
	t.Helper()
	for _, id := range ids(t, tree) {
		if info, err := tree.Info(id); err == nil && info.Path == path {
			return id
		}
	}
	t.Fatalf("no part %q", path)
	return None
}

// read is what a part is in some form.
func read(t rapid.TB, tree *Tree, id ID, form Form) string {
	t.Helper()
	size, err := tree.PartSize(id, form)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, size+1)
	n, err := tree.ReadPart(id, form, 0, b)
	if err != nil || int64(n) != size {
		t.Fatalf("ReadPart: %d, %v, want %d octets", n, err, size)
	}
	return string(b[:n])
}

const twoParts = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n" +
	"--b\r\nContent-Type: text/plain\r\n\r\none\r\n" +
	"--b\r\nContent-Type: text/plain\r\nX-Other: kept\r\n\r\ntwo\r\n" +
	"--b--\r\nepilogue"

// TestEdits has one edit each. What it does not touch is to the octet what it was:
// each want is the message with one splice.
func TestEdits(t *testing.T) {
	for _, tt := range []struct {
		name, message, path string
		edit                func(tree *Tree, id ID) error
		want                string
	}{
		{
			"replace text with text", twoParts, "2",
			func(tree *Tree, id ID) error { return tree.Replace(id, "", []byte("zwei\n")) },
			strings.Replace(twoParts, "two", "zwei\r\n", 1),
		},
		{
			"replace with what is not ASCII", twoParts, "2",
			func(tree *Tree, id ID) error { return tree.Replace(id, "text/plain", []byte("Crêpes")) },
			strings.Replace(twoParts, "Content-Type: text/plain\r\nX-Other: kept\r\n\r\ntwo",
				"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nX-Other: kept\r\n\r\nCr=C3=AApes", 1),
		},
		{
			"replace with binary", twoParts, "1",
			func(tree *Tree, id ID) error {
				return tree.Replace(id, "application/octet-stream", []byte{0, 1, 2, '\n', 0xff})
			},
			strings.Replace(twoParts, "text/plain\r\n\r\none", "application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECCv8=", 1),
		},
		{
			"replace with a line that looks like a delimiter", twoParts, "1",
			func(tree *Tree, id ID) error { return tree.Replace(id, "", []byte("--b--\r\n")) },
			strings.Replace(twoParts, "text/plain\r\n\r\none", "text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nLS1iLS0NCg==", 1),
		},
		{
			"replace an image, other fields stay", nested, "2",
			func(tree *Tree, id ID) error { return tree.Replace(id, "", []byte("jpeg")) },
			strings.Replace(nested, "/9j/4AAQSkZJRg==", "anBlZw==", 1),
		},
		{
			"replace an image with text", nested, "2",
			func(tree *Tree, id ID) error { return tree.Replace(id, "text/plain", []byte("gone")) },
			strings.Replace(strings.Replace(nested, "/9j/4AAQSkZJRg==", "gone", 1),
				"image/jpeg\r\nContent-Transfer-Encoding: base64", "text/plain\r\nContent-Transfer-Encoding: 7bit", 1),
		},
		{
			"replace a multipart with text", nested, "1",
			func(tree *Tree, id ID) error { return tree.Replace(id, "text/plain", []byte("gone")) },
			nested[:strings.Index(nested, "Content-Type: multipart/alternative")] + "Content-Type: text/plain\r\n\r\ngone" +
				nested[strings.Index(nested, "\r\n--outer\r\nContent-Type: image"):],
		},
		{
			"replace text of a message without header section", "Do you like ketchup?\r\n", "",
			func(tree *Tree, id ID) error { return tree.ReplaceText(id, "Crêpes?\n") },
			"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCr=C3=AApes?\r\n",
		},
		{
			"text stays in its charset and encoding", nested, "1.1",
			func(tree *Tree, id ID) error { return tree.ReplaceText(id, "Gâteaux\n") },
			strings.Replace(nested, "Cr=EApes", "G=E2teaux\r\n", 1),
		},
		{
			"text moves to UTF-8 if it must", nested, "1.1",
			func(tree *Tree, id ID) error { return tree.ReplaceText(id, "日本") },
			strings.Replace(strings.Replace(nested, "Cr=EApes", "=E6=97=A5=E6=9C=AC", 1), "charset=iso-8859-1", "charset=utf-8", 1),
		},
		{
			"8-bit text stays 8-bit", "Content-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit\n\né\n", "",
			func(tree *Tree, id ID) error { return tree.ReplaceText(id, "è\r\nà\r\n") },
			"Content-Type: text/plain; charset=utf-8; format=flowed\nContent-Transfer-Encoding: 8bit\n\nè\nà\n",
		},
		{
			"insert at the beginning", twoParts, "",
			func(tree *Tree, id ID) error {
				_, err := tree.Insert(id, 0, "text/plain", "", []byte("new"))
				return err
			},
			strings.Replace(twoParts, "--b\r\n", "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nnew\r\n--b\r\n", 1),
		},
		{
			"insert in the middle", twoParts, "",
			func(tree *Tree, id ID) error {
				_, err := tree.Insert(id, 1, "text/plain", "", []byte("new"))
				return err
			},
			strings.Replace(twoParts, "one\r\n--b\r\n", "one\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nnew\r\n--b\r\n", 1),
		},
		{
			"insert a file at the end", twoParts, "",
			func(tree *Tree, id ID) error {
				_, err := tree.Insert(id, Bottom, "image/png", "Crêpe \"1\".png", []byte("png"))
				return err
			},
			strings.Replace(twoParts, "two\r\n", "two\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n"+
				"Content-Disposition: attachment; filename*=utf-8''Cr%C3%AApe%20%221%22.png\r\n\r\ncG5n\r\n", 1),
		},
		{
			"remove the first part", twoParts, "1",
			(*Tree).Remove,
			strings.Replace(twoParts, "\r\n--b\r\nContent-Type: text/plain\r\n\r\none", "", 1),
		},
		{
			"remove the last part", twoParts, "2",
			(*Tree).Remove,
			strings.Replace(twoParts, "\r\n--b\r\nContent-Type: text/plain\r\nX-Other: kept\r\n\r\ntwo", "", 1),
		},
		{
			"remove the first part where there is no preamble", strings.Replace(twoParts, "preamble\r\n", "", 1), "1",
			(*Tree).Remove,
			strings.Replace(strings.Replace(twoParts, "preamble\r\n", "", 1), "--b\r\nContent-Type: text/plain\r\n\r\none\r\n", "", 1),
		},
		{
			"remove the only part", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n", "1",
			(*Tree).Remove,
			"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\r\n--b--\r\n",
		},
		{
			"wrap a part", twoParts, "2",
			func(tree *Tree, id ID) error {
				_, err := tree.Wrap(id, "multipart/mixed; boundary=n")
				return err
			},
			strings.Replace(twoParts, "Content-Type: text/plain\r\nX-Other: kept\r\n\r\ntwo", "Content-Type: multipart/mixed; boundary=n\r\n\r\n"+
				"--n\r\nContent-Type: text/plain\r\nX-Other: kept\r\n\r\ntwo\r\n--n--\r\n", 1),
		},
		{
			"wrap a message", "Subject: x\r\nContent-Type: text/html\r\nX: y\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n", "",
			func(tree *Tree, id ID) error {
				_, err := tree.Wrap(id, "multipart/mixed; boundary=n")
				return err
			},
			"Subject: x\r\nX: y\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=n\r\n\r\n" +
				"--n\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n\r\n--n--\r\n",
		},
		{
			"wrap a message without header section", "Do you like ketchup?", "",
			func(tree *Tree, id ID) error {
				_, err := tree.Wrap(id, "multipart/mixed; boundary=n")
				return err
			},
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=n\r\n\r\n--n\r\n\r\nDo you like ketchup?\r\n--n--\r\n",
		},
		{
			"replace the message", twoParts, "",
			func(tree *Tree, id ID) error { return tree.ReplaceMessage([]byte("A: b\r\n\r\nc")) },
			"A: b\r\n\r\nc",
		},
		{
			"field of a part", twoParts, "2",
			func(tree *Tree, id ID) error { return tree.InsertField(id, Top, "X", "y") },
			strings.Replace(twoParts, "two", "two", 1)[:strings.LastIndex(twoParts, "Content-Type")] + "X: y\r\n" +
				twoParts[strings.LastIndex(twoParts, "Content-Type"):],
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := parse(tt.message)
			id := at(t, tree, tt.path)
			if err := tt.edit(tree, id); err != nil {
				t.Fatal(err)
			}
			if got := all(t, tree); got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
			if !tree.Modified() {
				t.Error("not modified")
			}
			checkReadsAgain(t, tree)
			checkTo7Bit(t, all(t, tree))
			tree.Rollback(0)
			if got := all(t, tree); got != tt.message {
				t.Errorf("rolled back: %q", got)
			}
		})
	}
}

func TestEditsAreRefused(t *testing.T) {
	const message = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody"
	for name, err := range map[string]error{
		"insert into text":                 second(parse("\r\nx").Insert(Root, 0, "text/plain", "", nil)),
		"insert into a message":            second(parse(message).Insert(Root, 0, "text/plain", "", nil)),
		"insert past the end":              second(parse(twoParts).Insert(Root, 3, "text/plain", "", nil)),
		"insert no type":                   second(parse(twoParts).Insert(Root, 0, "text", "", nil)),
		"insert a line break in the type":  second(parse(twoParts).Insert(Root, 0, "text/plain;\r\n x=y", "", nil)),
		"insert a line break in the name":  second(parse(twoParts).Insert(Root, 0, "text/plain", "a\r\nb", nil)),
		"remove the message":               parse(twoParts).Remove(Root),
		"remove a message's whole":         parse(message).Remove(at(t, parse(message), "")),
		"wrap in text":                     second(parse(twoParts).Wrap(Root, "text/plain")),
		"wrap with a boundary that is bad": second(parse(twoParts).Wrap(Root, "multipart/mixed; boundary=\"\u00e9\"")),
		"replace text of an image":         parse("Content-Type: image/png\r\n\r\n").ReplaceText(Root, "x"),
		"replace text with other octets":   parse("\r\n").ReplaceText(Root, "\xe9"),
		"replace text that was not read":   parse("Content-Type: text/plain; charset=utf-8\r\n\r\n\xe9").ReplaceText(Root, "\uFFFD footer"),
		"a part that is not there":         parse("\r\n").Remove(5),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestEditsOfEditedParts(t *testing.T) {
	tree := parse("Subject: x\r\n\r\nHello\r\n")
	wrapper, err := tree.Wrap(Root, "multipart/mixed")
	if err != nil || wrapper != Root {
		t.Fatal(wrapper, err)
	}
	inner, err := tree.First(Root)
	if err != nil {
		t.Fatal(err)
	}
	footer, err := tree.Insert(Root, Bottom, "text/plain; charset=utf-8", "", []byte("-- \nÜber uns\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.ReplaceText(inner, "Bonjour\n"); err != nil {
		t.Fatal(err)
	}
	if err := tree.ReplaceText(footer, read(t, tree, footer, Text)+"Adieu\n"); err != nil {
		t.Fatal(err)
	}
	if outer, err := tree.Wrap(inner, "multipart/alternative"); err != nil {
		t.Fatal(err)
	} else if _, err := tree.Insert(outer, Bottom, "text/html", "", []byte("<p>Bonjour</p>")); err != nil {
		t.Fatal(err)
	}
	again := parse(all(t, tree))
	for path, want := range map[string]string{"1.1": "Bonjour\r\n", "1.2": "<p>Bonjour</p>", "2": "-- \r\nÜber uns\r\nAdieu\r\n"} {
		if got := read(t, again, at(t, again, path), Text); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if info, _ := tree.Info(footer); info.Path != "2" {
		t.Errorf("the footer is at %s", info.Path)
	}
	if flags, _ := tree.Flags(inner); flags&Modified == 0 {
		t.Error("the text is not modified")
	}
}

func TestContentTypeChangesParts(t *testing.T) {
	tree := parse(twoParts)
	one := at(t, tree, "1")
	if err := tree.ReplaceText(one, "eins"); err != nil {
		t.Fatal(err)
	}
	i, _ := tree.FindField(Root, "Content-Type", 0)
	mark := tree.Mark()
	if err := tree.SetField(Root, i, "multipart/alternative; boundary=b"); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Info(one); err != nil {
		t.Errorf("the same boundary: %v", err)
	}
	if err := tree.SetField(Root, i, "text/plain"); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Info(one); err != ErrNotFound {
		t.Errorf("a part of what is text now: %v", err)
	}
	if body := read(t, tree, Root, Content); !strings.Contains(body, "--b\r\nContent-Type: text/plain\r\n\r\neins\r\n") {
		t.Errorf("the body is %q", body)
	}
	if err := tree.SetField(Root, i, "multipart/mixed; boundary=b"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, tree, at(t, tree, "1"), Content); got != "eins" {
		t.Errorf("taken apart anew: %q", got)
	}
	tree.Rollback(mark)
	if got := read(t, tree, one, Content); got != "eins" {
		t.Errorf("rolled back: %q", got)
	}
}

func TestOpenIsASnapshot(t *testing.T) {
	tree := parse(twoParts)
	r, err := tree.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := tree.Remove(at(t, tree, "1")); err != nil {
		t.Fatal(err)
	}
	edited, _ := tree.Open()
	tree.Rollback(0)
	if err := tree.InsertField(Root, Top, "X", strings.Repeat("y", 100)); err != nil {
		t.Fatal(err)
	}
	var b, e bytes.Buffer
	b.ReadFrom(r)
	e.ReadFrom(edited)
	if b.String() != twoParts {
		t.Errorf("got %q", b.String())
	}
	if strings.Contains(e.String(), "one") || !strings.Contains(e.String(), "two") {
		t.Errorf("got %q", e.String())
	}
}

func TestWalk(t *testing.T) {
	tree := parse(nested)
	for _, tt := range []struct{ pattern, path string }{
		{"text/*", "1.1"}, {"TEXT/html", "1.2"}, {"image/*", "2"}, {"multipart/alternative", "1"}, {"*/*", ""},
	} {
		id, err := tree.Find(tt.pattern, Root)
		if err != nil {
			t.Fatal(tt.pattern, err)
		}
		if info, _ := tree.Info(id); info.Path != tt.path {
			t.Errorf("%s is at %q, want %q", tt.pattern, info.Path, tt.path)
		}
	}
	if _, err := tree.Find("audio/*", Root); err != ErrNotFound {
		t.Errorf("audio: %v", err)
	}
	if id, err := tree.Find("text/*", at(t, tree, "1.2")); err != nil || id != at(t, tree, "1.2") {
		t.Errorf("from is not part of the search: %d, %v", id, err)
	}
	if _, err := tree.Parent(Root); err != ErrNotFound {
		t.Errorf("parent of the message: %v", err)
	}
	if up, err := tree.Parent(at(t, tree, "1.2")); err != nil || up != at(t, tree, "1") {
		t.Errorf("parent: %d, %v", up, err)
	}
}

func TestInfo(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		want         Info
		flags        Flags
	}{
		{"nothing", "", Info{Type: "text/plain"}, 0},
		{"no slash", "Content-Type: text\r\n", Info{Type: "text/plain"}, Malformed},
		{"upper case", "CONTENT-TYPE: TEXT/HTML; CharSet=UTF-8\r\nCONTENT-TRANSFER-ENCODING: Base64 (x)\r\n", Info{Type: "text/html", Charset: "UTF-8", Encoding: "base64"}, 0},
		{"name in Content-Type", "Content-Type: image/png; name=a.png\r\n", Info{Type: "image/png", Filename: "a.png"}, Attachment},
		{"inline with a name", "Content-Type: image/png\r\nContent-Disposition: inline; filename=a.png\r\n", Info{Type: "image/png", Disposition: "inline", Filename: "a.png"}, 0},
		{"attachment without a name", "Content-Disposition: ATTACHMENT\r\n", Info{Type: "text/plain", Disposition: "attachment"}, Attachment},
		{"RFC 2231 in pieces", "Content-Disposition: attachment; filename*1*=%C3%AA; filename*0*=utf-8''cr; filename*2=\"pe.jpg\"\r\n", Info{Type: "text/plain", Disposition: "attachment", Filename: "crêpe.jpg"}, Attachment},
		{"RFC 2231 and a plain one", "Content-Disposition: attachment; filename=a; filename*=iso-8859-1'fr'%EA\r\n", Info{Type: "text/plain", Disposition: "attachment", Filename: "ê"}, Attachment},
		{"encoded word in quotes", "Content-Type: image/png; name=\"=?utf-8?B?w6o=?=.png\"\r\n", Info{Type: "image/png", Filename: "ê.png"}, Attachment},
		{"raw 8-bit name", "Content-Type: image/png; name=\"\u00ea\xff\"\r\n", Info{Type: "image/png", Filename: "ê\uFFFD"}, Attachment},
		{"blanks without quotes", "Content-Disposition: attachment; filename=my file.pdf; size=3\r\n", Info{Type: "text/plain", Disposition: "attachment", Filename: "my file.pdf"}, Attachment | Malformed},
		{"quote without an end", "Content-Type: image/png; name=\"a.png\r\n", Info{Type: "image/png", Filename: "a.png"}, Attachment | Malformed},
		{"backslash of another system", "Content-Type: image/png; name=\"C:\\new \\\"1\\\".png\"\r\n", Info{Type: "image/png", Filename: "C:\\new \"1\".png"}, Attachment},
		{"two types", "Content-Type: text/html\r\nContent-Type: image/png\r\n", Info{Type: "text/html"}, Malformed},
		{"Content-ID", "Content-ID: <a@b>\r\n", Info{Type: "text/plain", ContentID: "a@b"}, 0},
		{"S/MIME", "Content-Type: application/pkcs7-mime; name=smime.p7m\r\n", Info{Type: "application/pkcs7-mime", Filename: "smime.p7m"}, Attachment | InsideSigned},
		{"multipart without parts", "Content-Type: multipart/mixed; boundary=b\r\n", Info{Type: "multipart/mixed"}, Malformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := parse(tt.header + "\r\n")
			if got, err := tree.Info(Root); err != nil || got != tt.want {
				t.Errorf("\n got %+v, %v\nwant %+v", got, err, tt.want)
			}
			if got, err := tree.Flags(Root); err != nil || got != tt.flags {
				t.Errorf("flags %05b, %v, want %05b", got, err, tt.flags)
			}
		})
	}
}

func TestSignedParts(t *testing.T) {
	tree := parse("Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: multipart/signed; boundary=s\r\n\r\n" +
		"--s\r\n\r\nx\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\ny\r\n--s--\r\n--m\r\n\r\nz\r\n--m--\r\n")
	for path, want := range map[string]bool{"": false, "1": true, "1.1": true, "1.2": true, "2": false} {
		if flags, err := tree.Flags(at(t, tree, path)); err != nil || (flags&InsideSigned != 0) != want {
			t.Errorf("%q: flags %05b, %v", path, flags, err)
		}
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ name, header, body, want string }{
		{"no charset", "", "é", "é"},
		{"no charset, not UTF-8", "", "\xe9", "\uFFFD"},
		{"Latin-1", "Content-Type: text/plain; charset=iso-8859-1\r\n", "\xe9", "é"},
		{"Windows", "Content-Type: text/plain; charset=\"Windows-1252\"\r\n", "\x80", "€"},
		{"Chinese", "Content-Type: text/plain; charset=gb2312\r\n", "\xc4\xe3", "你"},
		{"Japanese, base64", "Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: base64\r\n", "GyRCRnxLXBsoQg==", "日本"},
		{"bad UTF-8", "Content-Type: text/plain; charset=utf-8\r\n", "a\xc3b", "a\uFFFDb"},
		{"quoted-printable", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: Quoted-Printable\r\n", "a=C3=\r\n=a9 \r\nb=", "aé\r\nb"},
		{"base64 with all that is wrong in it", "Content-Transfer-Encoding: base64\r\n", "SGVs*bG8=SGVs\r\n bG8", "HelloHello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := parse(tt.header + "\r\n" + tt.body)
			if got := read(t, tree, Root, Text); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := parse("Content-Type: text/plain; charset=x-no\r\n\r\nx").PartSize(Root, Text); err == nil {
		t.Error("a charset that nobody knows was read")
	}
	if _, err := parse("Content-Transfer-Encoding: x-uuencode\r\n\r\nx").PartSize(Root, Content); err != ErrEncoding {
		t.Errorf("an encoding that nobody knows: %v", err)
	}
}

// TestLargeBody holds that reading a large encoded body piece by piece, and out
// of order, gives what it stands for.
func TestLargeBody(t *testing.T) {
	want := bytes.Repeat([]byte("The quick brown fox. "), 100_000)
	var b strings.Builder
	b.WriteString("Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for rest := want; len(rest) > 0; rest = rest[min(57, len(rest)):] {
		b.WriteString(base64.StdEncoding.EncodeToString(rest[:min(57, len(rest))]) + "\r\n")
	}
	tree := parse(b.String())
	if n, err := tree.PartSize(Root, Content); err != nil || n != int64(len(want)) {
		t.Fatalf("PartSize: %d, %v", n, err)
	}
	p := make([]byte, 10_000)
	for _, off := range []int{0, 10_000, 50_000, 3, 2_000_000, len(want) - 5, len(want), len(want) + 10} {
		n, err := tree.ReadPart(Root, Content, int64(off), p)
		if end := min(off+len(p), len(want)); err != nil || off < len(want) && !bytes.Equal(p[:n], want[off:end]) || off >= len(want) && n != 0 {
			t.Errorf("at %d: %d octets, %v", off, n, err)
		}
	}
	if err := tree.Replace(Root, "", want[1:]); err != nil {
		t.Fatal(err)
	}
	if got := read(t, tree, Root, Content); got != string(want[1:]) {
		t.Error("what was put in is not what is there")
	}
	if got := all(t, tree); read(t, parse(got), Root, Content) != string(want[1:]) || linesOf([]byte(got)).longest != 76 {
		t.Error("what was put in is not what is written")
	}
}

func TestFilenamesComeBack(t *testing.T) {
	for _, name := range []string{"a.txt", "a b.txt", `a"b\c.txt`, "ü.txt", "日本語.txt", strings.Repeat("long", 60), "a;b=c*'%", "tab\t.txt"} {
		tree := parse(twoParts)
		id, err := tree.Insert(Root, Bottom, "image/png", name, []byte("x"))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if info, _ := tree.Info(id); info.Filename != name {
			t.Errorf("%q became %q", name, info.Filename)
		}
		again := parse(all(t, tree))
		header, _ := again.Header(at(t, again, "3"))
		i, _ := again.FindField(at(t, again, "3"), "Content-Disposition", 0)
		v, _ := again.FieldValue(at(t, again, "3"), i, Unfolded)
		if _, params, err := mime.ParseMediaType(string(v)); err != nil || params["filename"] != name {
			t.Errorf("%q: another reader has %q, %v, of %q", name, params["filename"], err, header)
		}
	}
}

// TestMessagePartHasLines holds that what goes out as it stands has no CR, LF or
// NUL that some server takes for the end of a line.
func TestMessagePartHasLines(t *testing.T) {
	const src = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: a\r\n\r\nb\r\n--b--\r\n"
	for body, ok := range map[string]bool{
		"Subject: x\r\n\r\ny\r\n":          true,
		"Subject: x\n\ny\n":                true, // all of them: they become CRLF
		"Subject: x\r\n\r\ny\n.\r\n":       false,
		"Subject: x\r\n\r\ny\r.\r\n":       false,
		"Subject: x\r\n\r\ny\x00z\r\n":     false,
		"Subject: x\r\n\r\n\xfc\n.\nz\r\n": false,
	} {
		tree := Parse(strings.NewReader(src), Limits{})
		id, err := tree.First(Root)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Replace(id, "message/rfc822", []byte(body)); (err == nil) != ok {
			t.Errorf("%q: %v", body, err)
		}
		if o, err := tree.Octets(); o.Bare || o.NUL || err != nil {
			t.Errorf("%q: the message has %+v, %v", body, o, err)
		}
	}
}

func TestLinesOf(t *testing.T) {
	for octets, want := range map[string]lines{
		"":                    {},
		"one":                 {longest: 3},
		"\n":                  {lf: 1},
		"\r":                  {cr: 1},
		"\r\n":                {cr: 1, lf: 1, crlf: 1},
		"a\r\nlong\r\n":       {cr: 2, lf: 2, crlf: 2, longest: 4},
		"long\r\nlonger":      {cr: 1, lf: 1, crlf: 1, longest: 6},
		"a\nbb\r\nc\rd\n":     {cr: 2, lf: 3, crlf: 1, longest: 3},
		"\n\r":                {cr: 1, lf: 1},
		"a\r\r\n":             {cr: 2, lf: 1, crlf: 1, longest: 2},
		"no end of its own\r": {cr: 1, longest: 17},
	} {
		if got := linesOf([]byte(octets)); got != want {
			t.Errorf("%q: got %+v, want %+v", octets, got, want)
		}
	}
}
