package mimetree

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// seeds are messages that a fuzzer begins with.
func seeds(f *testing.F) {
	f.Helper()
	for _, c := range awkward {
		f.Add([]byte(c.message))
	}
}

// small are limits that a short message can meet.
var small = Limits{HeaderOctets: 512, Fields: 12, Parts: 12, Depth: 4}

// FuzzParse holds that any octets can be taken apart and read, leave as they
// came, and cost no more parts than there may be.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, octets []byte) {
		for _, limits := range []Limits{{}, small} {
			tree := Parse(bytes.NewReader(octets), limits)
			parts := ids(t, tree)
			if len(parts) > tree.limits.Parts+1 {
				t.Fatalf("%d parts, limit %d", len(parts), tree.limits.Parts)
			}
			for _, id := range parts {
				readPart(t, tree, id)
				checkPlaces(t, tree, tree.parts[id])
			}
			if got := all(t, tree); got != string(octets) {
				t.Fatalf("got %q, want %q", got, octets)
			}
		}
	})
}

// readPart reads all there is of a part, in two ways.
func readPart(t rapid.TB, tree *Tree, id ID) {
	t.Helper()
	if _, err := tree.Info(id); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Flags(id); err != nil {
		t.Fatal(err)
	}
	n, err := tree.FieldCount(id)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if v, err := tree.FieldValue(id, i, Decoded); err != nil || !utf8.Valid(v) {
			t.Fatalf("value %d is %q, %v", i, v, err)
		}
	}
	for form := Entity; form <= Text; form++ {
		readForm(t, tree, id, form)
	}
}

func readForm(t rapid.TB, tree *Tree, id ID, form Form) {
	t.Helper()
	r, err := tree.OpenPart(id, form)
	if err != nil {
		if _, again := tree.PartSize(id, form); again == nil {
			t.Fatalf("OpenPart says %v, PartSize nothing", err)
		}
		return
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	if form == Text && !utf8.Valid(b) {
		t.Fatalf("text is %q", b)
	}
	size, err := tree.PartSize(id, form)
	if err != nil || size != int64(len(b)) {
		t.Fatalf("PartSize is %d, %v, want %d", size, err, len(b))
	}
	p := make([]byte, len(b))
	if n, err := tree.ReadPart(id, form, 0, p); n != len(b) || err != nil || !bytes.Equal(p, b) {
		t.Fatalf("ReadPart gives %q, %v, want %q", p[:n], err, b)
	}
}

// checkPlaces holds that the pieces of an unedited part lie side by side.
func checkPlaces(t rapid.TB, tree *Tree, p *part) {
	t.Helper()
	if p.edited {
		return
	}
	at := p.whole.start
	next := func(what string, s span) {
		if s.start != at || s.end < s.start {
			t.Fatalf("%s is at %v, want it to begin at %d", what, s, at)
		}
		at = s.end
	}
	for _, f := range p.fields {
		next("field", f.span)
	}
	next("blank line", p.blank)
	if p.structured {
		next("preamble", p.pre)
		for id := p.first; id != None; id = tree.parts[id].next {
			next("delimiter", tree.parts[id].lead.span)
			next("part", tree.parts[id].whole)
		}
		next("epilogue", p.tail.span)
	} else {
		next("body", p.body)
	}
	if at != p.whole.end {
		t.Fatalf("the part ends at %d, want %d", at, p.whole.end)
	}
}

// FuzzEdit holds that edits, whatever the message and whatever they are, leave
// a message that reads again as the tree has it, and are undone by Rollback.
func FuzzEdit(f *testing.F) {
	for i, c := range awkward {
		f.Add([]byte(c.message), []byte{byte(i), 1, 2, byte(i * 7), 9, 4, byte(i * 3), 200, 6, 7, 8, 9})
	}
	f.Fuzz(func(t *testing.T, octets, program []byte) {
		if len(program) > 64 {
			program = program[:64]
		}
		tree := Parse(bytes.NewReader(octets), Limits{})
		var marks []int
		var states []string
		for len(program) >= 3 {
			marks, states = append(marks, tree.Mark()), append(states, all(t, tree))
			err := step(tree, program[0], program[1], program[2])
			if now := all(t, tree); err != nil && now != states[len(states)-1] {
				t.Fatalf("an edit that failed (%v) left %q, want %q", err, now, states[len(states)-1])
			}
			program = program[3:]
		}
		if !bytes.Contains(octets, []byte("From ")) { // what it is depends on what comes after it
			checkReadsAgain(t, tree)
		}
		for i := len(marks) - 1; i >= 0; i-- {
			tree.Rollback(marks[i])
			if got := all(t, tree); got != states[i] {
				t.Fatalf("rolled back to %q, want %q", got, states[i])
			}
		}
		if tree.Modified() {
			t.Fatal("modified after the last Rollback")
		}
		for _, id := range ids(t, tree) {
			checkPlaces(t, tree, tree.parts[id])
		}
	})
}

// texts are what step writes.
var texts = []string{"", "plain", "zwei\nZeilen\n", "Crêpes\r\n", "a\rb", "日本語日本語日本語日本語日本語日本語日本語", "--b\nx", strings.Repeat("long ", 300),
	"=?utf-8?q?a?= b", ".", "From me", "\x00\xff", "trailing \n", `a; b="c"`}

// step is one edit.
func step(tree *Tree, op, where, what byte) error {
	id := ID(int(where&15) % len(tree.parts))
	i := int(where>>4) - 1
	text := texts[int(what)%len(texts)]
	var err error
	switch op % 14 {
	case 0:
		return tree.InsertField(id, i, "Subject", text)
	case 1:
		return tree.InsertField(id, i, "X-Test", text)
	case 2:
		return tree.InsertRawField(id, i, "X-Raw: a\n b")
	case 3:
		return tree.SetField(id, i, text)
	case 4:
		return tree.RemoveField(id, i)
	case 5:
		_, err = tree.RemoveFields(id, "Content-Type")
	case 6:
		return tree.Replace(id, "", []byte(text))
	case 7:
		return tree.Replace(id, "text/html", []byte(text))
	case 8:
		return tree.ReplaceText(id, text)
	case 9:
		_, err = tree.Insert(id, i, "text/plain", text, []byte(text))
	case 10:
		return tree.Remove(id)
	case 11:
		_, err = tree.Wrap(id, "multipart/mixed")
	case 12:
		return tree.Replace(id, "application/x; y=z", []byte(text))
	case 13:
		_, err = tree.First(id)
	}
	return err
}

// checkReadsAgain holds that what a tree was made into is what a new tree of
// it has: the same fields, parts and contents.
func checkReadsAgain(t rapid.TB, tree *Tree) {
	t.Helper()
	again := parse(all(t, tree))
	a, b := ids(t, tree), ids(t, again)
	for i := 0; i < len(a) && i < len(b); i++ {
		ha, _ := tree.Header(a[i])
		hb, _ := again.Header(b[i])
		if !bytes.Equal(ha, hb) {
			t.Fatalf("part %d has the header section %q, read again it is %q\nin %q", i, ha, hb, all(t, tree))
		}
		ra, errA := content7(tree, a[i])
		rb, errB := content7(again, b[i])
		// A bare CR at the end of a part makes CRLF of the LF after it.
		if strings.TrimRight(ra, "\r") != strings.TrimRight(rb, "\r") || (errA == nil) != (errB == nil) {
			t.Fatalf("part %d is %q, read again it is %q\nin %q", i, ra, rb, all(t, tree))
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%d parts, read again there are %d\nin %q", len(a), len(b), all(t, tree))
	}
}

// content7 is what a part that has no parts stands for.
func content7(tree *Tree, id ID) (string, error) {
	if _, err := tree.First(id); err == nil {
		return "", nil
	}
	r, err := tree.OpenPart(id, Content)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// FuzzTo7Bit holds that what comes out is 7-bit, and reads as what went in.
func FuzzTo7Bit(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, octets []byte) { checkTo7Bit(t, string(octets)) })
}

func checkTo7Bit(t rapid.TB, octets string) {
	t.Helper()
	tree := parse(octets)
	out, done, err := To7Bit(tree)
	if err == ErrLimit {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if all(t, tree) != octets || tree.Modified() {
		t.Fatal("To7Bit changed its argument")
	}
	got := all(t, out)
	if !done.Changed && got != octets {
		t.Fatalf("no change, but %q became %q", octets, got)
	}
	if is7Bit([]byte(octets)) && !strings.Contains(strings.ToLower(octets), "binary") && done.Changed {
		t.Fatalf("7-bit %q became %q", octets, got)
	}
	if !is7Bit([]byte(got)) && !done.Left {
		t.Fatalf("%q is not 7-bit", got)
	}
	sameLeaves(t, tree, parse(got))
}

// sameLeaves holds that two messages have the same parts with the same
// contents.
func sameLeaves(t rapid.TB, a, b *Tree) {
	t.Helper()
	as, bs := ids(t, a), ids(t, b)
	if len(as) != len(bs) {
		t.Fatalf("%d parts became %d: %q became %q", len(as), len(bs), all(t, a), all(t, b))
	}
	for i := range as {
		was, err := content7(a, as[i])
		is, _ := content7(b, bs[i])
		if err == nil && was != is {
			t.Fatalf("part %d was %q, is %q\nin %q", i, was, is, all(t, b))
		}
	}
}

// FuzzHeaderValue holds that a value that is written reads again as it was
// given, in lines that any server takes.
func FuzzHeaderValue(f *testing.F) {
	for _, v := range texts {
		f.Add("Subject", v)
		f.Add("To", v)
		f.Add("Content-Type", v)
	}
	f.Add("From", `"Jürgen, der Bäcker" <j@example.org>, (Kommentär) x@example.org, Grüppe: a@example.org;`)
	f.Add("X-"+strings.Repeat("n", 200), strings.Repeat("ü", 100))
	f.Add("Subject", strings.Repeat("a", 2000))
	f.Add("Subject", " [list]  Hé   wörld ")
	f.Fuzz(func(t *testing.T, name, value string) {
		tree := parse("A: b\r\n\r\nbody")
		if err := tree.InsertField(Root, Top, name, value); err != nil {
			if all(t, tree) != "A: b\r\n\r\nbody" {
				t.Fatal("an edit that failed changed the message")
			}
			return
		}
		got := all(t, tree)
		field, ok := strings.CutSuffix(got, "A: b\r\n\r\nbody")
		if !ok || strings.Contains(strings.ReplaceAll(field, "\r\n", ""), "\n") || linesOf([]byte(got)).longest > maxLine {
			t.Fatalf("wrote %q", got)
		}
		again := parse(got)
		if n, _ := again.FieldCount(Root); n != 2 {
			t.Fatalf("%d fields in %q", n, got)
		}
		checkValue(t, again, name, value, field)
	})
}

func checkValue(t rapid.TB, tree *Tree, name, value, field string) {
	t.Helper()
	value = strings.Trim(value, " \t")
	decoded, _ := tree.FieldValue(Root, 0, Decoded)
	unfolded, _ := tree.FieldValue(Root, 0, Unfolded)
	switch g := grammarOf(name); {
	case isASCII(value) && string(unfolded) == value:
	case g == text && string(decoded) != value && !strings.Contains(value, "=?"):
		t.Fatalf("%q reads as %q in %q", value, decoded, field)
	case g == text && !isASCII(field):
		t.Fatalf("wrote %q", field)
	case g == fixed && string(unfolded) != value:
		t.Fatalf("%q became %q", value, unfolded)
	}
}
