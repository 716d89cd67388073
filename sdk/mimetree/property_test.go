package mimetree

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// messages are messages of every shape: with odd header sections, line ends,
// delimiters and encodings, some parts deep.
func messages() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		eol := rapid.SampledFrom([]string{"\r\n", "\r\n", "\n"}).Draw(t, "line end")
		return rapid.SampledFrom([]string{"", "", "", "From a@b Mon" + eol}).Draw(t, "mailbox line") +
			fields(t, eol) + entity(t, eol, 3)
	})
}

// fields are header fields without a meaning for MIME.
func fields(t *rapid.T, eol string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
		"Received: from a" + eol + "\tby b; date" + eol,
		"Subject: Cr\u00eapes" + eol,
		"Subject: =?utf-8?q?Cr=C3=AApes?=" + eol + " and" + eol + "  more" + eol,
		"From: J\xfcrgen <j@example.org>" + eol,
		"To:" + eol,
		"X-Long : " + strings.Repeat("word ", 40) + eol,
		"X-Bare: a\rb" + eol,
	}), 0, 5).Draw(t, "fields"), "")
}

// entity is the rest of a header section, and a body.
func entity(t *rapid.T, eol string, depth int) string {
	kinds := []func(*rapid.T, string, int) string{leaf, leaf, multipart, message, broken}
	if depth == 0 {
		kinds = kinds[:1]
	}
	return rapid.SampledFrom(kinds).Draw(t, "kind")(t, eol, depth)
}

func leaf(t *rapid.T, eol string, _ int) string {
	head := rapid.SampledFrom([]string{
		"",
		"Content-Type: text/plain; charset=utf-8" + eol,
		"Content-Type: text/html; charset=\"iso-8859-1\"" + eol + "Content-Transfer-Encoding: quoted-printable" + eol,
		"Content-Type: image/jpeg" + eol + "Content-Transfer-Encoding: base64" + eol + "Content-Disposition: attachment; filename=a.jpg" + eol,
		"Content-Transfer-Encoding: 8bit" + eol,
		"Content-Type: application/x" + eol + "Content-Transfer-Encoding: x-no" + eol,
	}).Draw(t, "head")
	body := rapid.SliceOfN(rapid.SampledFrom([]string{
		"plain", "na\xefve", "Cr\u00eapes", "=C3=AA=", "/9j/4AAQSkZJRg==", "--", "--b", ".", "From me", "", strings.Repeat("long ", 300), "a\rb", "\x00",
	}), 0, 4).Draw(t, "lines")
	return head + eol + strings.Join(body, eol) + rapid.SampledFrom([]string{"", eol}).Draw(t, "end")
}

func multipart(t *rapid.T, eol string, depth int) string {
	border := rapid.SampledFrom([]string{"b", "bb", "=_x", "a b"}).Draw(t, "boundary")
	var b strings.Builder
	b.WriteString("Content-Type: " + rapid.SampledFrom([]string{"multipart/mixed", "multipart/signed", "multipart/digest"}).Draw(t, "type") +
		";" + eol + " boundary=\"" + border + "\"" + eol + eol)
	b.WriteString(rapid.SampledFrom([]string{"", "preamble" + eol, eol}).Draw(t, "preamble"))
	for range rapid.IntRange(0, 3).Draw(t, "parts") {
		b.WriteString("--" + border + rapid.SampledFrom([]string{"", "  "}).Draw(t, "padding") + eol)
		if rapid.IntRange(0, 5).Draw(t, "empty") > 0 {
			b.WriteString(entity(t, eol, depth-1) + eol)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "close") > 0 {
		b.WriteString("--" + border + "--" + rapid.SampledFrom([]string{"", eol, eol + "epilogue \xe9" + eol}).Draw(t, "epilogue"))
	}
	return b.String()
}

func message(t *rapid.T, eol string, depth int) string {
	return "Content-Type: message/rfc822" + eol + eol + fields(t, eol) + entity(t, eol, depth-1)
}

// broken is a header section that ends in no blank line.
func broken(t *rapid.T, eol string, _ int) string {
	return rapid.SampledFrom([]string{"no field" + eol + "Subject: x" + eol, ": x", "Do you like ketchup?" + eol, "", " blank first" + eol}).Draw(t, "broken")
}

// TestUneditedIsIdentical is the first half of what this package is for.
func TestUneditedIsIdentical(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		octets := messages().Draw(r, "message")
		tree := parse(octets)
		for _, id := range ids(r, tree) {
			checkPlaces(r, tree, tree.parts[id])
			readPart(r, tree, id)
		}
		if got := all(r, tree); got != octets || tree.Modified() {
			r.Fatalf("got %q, want %q", got, octets)
		}
	})
}

// TestRollbackIsIdentical makes any edits and undoes them, some at a time.
func TestRollbackIsIdentical(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		octets := messages().Draw(r, "message")
		tree := parse(octets)
		var marks []int
		var states []string
		for range rapid.IntRange(1, 8).Draw(r, "edits") {
			marks, states = append(marks, tree.Mark()), append(states, all(r, tree))
			step(tree, rapid.Byte().Draw(r, "edit"), rapid.Byte().Draw(r, "place"), rapid.Byte().Draw(r, "text"))
			if rapid.IntRange(0, 3).Draw(r, "undo") == 0 {
				i := rapid.IntRange(0, len(marks)-1).Draw(r, "mark")
				tree.Rollback(marks[i])
				if got := all(r, tree); got != states[i] {
					r.Fatalf("rolled back to %q, want %q", got, states[i])
				}
				marks, states = marks[:i], states[:i]
			}
		}
		tree.Rollback(0)
		if got := all(r, tree); got != octets || tree.Modified() {
			r.Fatalf("got %q, want %q", got, octets)
		}
	})
}

// TestOneEditLeavesTheRest is the other half: one edit of one part leaves
// every octet before and after the part, and all header fields but the one.
func TestOneEditLeavesTheRest(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		octets := messages().Draw(r, "message")
		tree := parse(octets)
		parts := ids(r, tree)
		id := rapid.SampledFrom(parts).Draw(r, "part")
		p := tree.parts[id]
		whole, next := p.whole, p.next
		var before, after string
		switch n := len(p.fields); rapid.IntRange(0, 3).Draw(r, "edit") {
		case 0:
			if n == 0 {
				return
			}
			f := p.fields[rapid.IntRange(0, n-1).Draw(r, "field")]
			before, after = octets[:f.start], octets[f.end:]
			for i := range p.fields {
				if p.fields[i] == f {
					check(r, tree.RemoveField(id, i))
					break
				}
			}
			if got := all(r, tree); got != before+after {
				r.Fatalf("got %q, want %q", got, before+after)
			}
			return
		case 1:
			i := rapid.IntRange(0, n).Draw(r, "place")
			check(r, tree.InsertField(id, i, "X-Test", "y"))
			got := strings.Replace(all(r, tree), "X-Test: y"+tree.eol, "", 1)
			if !isWithLineEnds(got, octets, tree.eol, 3) {
				r.Fatalf("got %q besides the field, want %q", got, octets)
			}
			return
		case 2:
			if tree.Replace(id, "", []byte("other")) != nil {
				return
			}
			before, after = octets[:whole.start], octets[whole.end:]
		case 3:
			if tree.Remove(id) != nil {
				return
			}
			before, after = octets[:p.lead.start], octets[whole.end:]
			if next != None { // of the delimiters around p one is left
				after = octets[tree.parts[next].whole.start:]
			}
		}
		got := all(r, tree)
		if strings.Contains(before, "message/rfc822") || strings.Contains(octets, "--b"+tree.eol+"--b") {
			return // line ends that were missing may be there now
		}
		if !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) {
			r.Fatalf("got %q, want %q … %q", got, before, after)
		}
	})
}

func check(r *rapid.T, err error) {
	if err != nil {
		r.Fatal(err)
	}
}

// isWithLineEnds tells whether got is want with up to n line ends more.
func isWithLineEnds(got, want, eol string, n int) bool {
	if got == want {
		return true
	}
	i := 0
	for i < len(got) && i < len(want) && got[i] == want[i] {
		i++
	}
	return n > 0 && strings.HasPrefix(got[i:], eol) && isWithLineEnds(got[:i]+got[i+len(eol):], want, eol, n-1)
}

// TestGeneratedTo7Bit holds the 7-bit rule for any message.
func TestGeneratedTo7Bit(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { checkTo7Bit(r, messages().Draw(r, "message")) })
}
