package smtp

import (
	"bytes"
	"strings"
	"testing"
)

// decode feeds the decoder with pieces of the given size.
func decode(in string, piece int) (d *DataDecoder, out string, rest string, done bool) {
	d = &DataDecoder{}
	var dst []byte
	src := []byte(in)
	for len(src) > 0 && !done {
		var n int
		dst, n, done = d.Decode(dst, src[:min(piece, len(src))])
		src = src[n:]
	}
	return d, string(dst), string(src), done
}

func TestDataDecoder(t *testing.T) {
	for _, tt := range []struct {
		name, in  string
		out, rest string
		err       *Reply
		lost      bool // the session cannot go on
		open      bool // the end did not come
	}{
		{name: "no content", in: ".\r\n", out: ""},
		{name: "one line", in: "a\r\n.\r\n", out: "a\r\n"},
		{name: "an empty line", in: "\r\n.\r\n", out: "\r\n"},
		{name: "what follows is left", in: "a\r\n.\r\nQUIT\r\n", out: "a\r\n", rest: "QUIT\r\n"},
		{name: "a stuffed dot", in: "..\r\n.\r\n", out: ".\r\n"},
		{name: "a stuffed dot in the middle", in: "a\r\n..b\r\n...\r\n.\r\n", out: "a\r\n.b\r\n..\r\n"},
		{name: "a dot that was not stuffed", in: ".a\r\n.\r\n", out: "a\r\n"},
		{name: "dots inside lines", in: "a.\r\n b.c\r\n.\r\n", out: "a.\r\n b.c\r\n"},
		{name: "8-bit octets", in: "\xff\xc3\xa4\r\n.\r\n", out: "\xff\xc3\xa4\r\n"},
		{name: "not ended", in: "a\r\n.\r", out: "a\r\n", open: true},
		{name: "bare LF", in: "a\nb\r\n.\r\nQUIT\r\n", rest: "QUIT\r\n", err: ErrBareLF},
		{name: "bare CR", in: "a\rb\r\n.\r\nQUIT\r\n", rest: "QUIT\r\n", err: ErrBareCR},
		{name: "LF CR", in: "a\n\rb\r\n.\r\n", err: ErrBareLF},
		{name: "CR at the start", in: "\ra\r\n.\r\n", err: ErrBareCR},
		{name: "NUL", in: "a\x00b\r\n.\r\nQUIT\r\n", rest: "QUIT\r\n", err: ErrNUL},
		{name: "CR CRLF before the dot ends it", in: "a\r\r\n.\r\nMAIL\r\n", rest: "MAIL\r\n", err: ErrBareCR},
		{name: "dot between bare LFs", in: "a\n.\nMAIL\r\n", rest: "MAIL\r\n", err: ErrBareLF, lost: true},
		{name: "LF dot CRLF", in: "a\n.\r\nMAIL\r\n.\r\n", err: ErrBareLF, lost: true, rest: "\nMAIL\r\n.\r\n"},
		{name: "CRLF dot LF", in: "a\r\n.\nMAIL\r\n.\r\n", err: ErrBareLF, lost: true, rest: "MAIL\r\n.\r\n"},
		{name: "dot between bare CRs", in: "a\r.\rMAIL\r\n.\r\n", err: ErrBareCR, lost: true, rest: "MAIL\r\n.\r\n"},
		{name: "CR dot CRLF", in: "a\r.\r\nMAIL\r\n.\r\n", err: ErrBareCR, lost: true, rest: "\nMAIL\r\n.\r\n"},
		{name: "CRLF dot CR CRLF", in: "a\r\n.\r\r\nMAIL\r\n.\r\n", err: ErrBareCR, lost: true, rest: "\nMAIL\r\n.\r\n"},
		{name: "a dot and LF at once", in: ".\nMAIL\r\n", err: ErrBareLF, lost: true, rest: "MAIL\r\n"},
		{name: "dot at the end of a line with LF", in: "a.\nb\r\n.\r\n", err: ErrBareLF},
		{name: "the longest line", in: strings.Repeat("a", MaxLine-2) + "\r\n.\r\n", out: strings.Repeat("a", MaxLine-2) + "\r\n"},
		{name: "a line too long", in: strings.Repeat("a", MaxLine-1) + "\r\n.\r\nQUIT\r\n", rest: "QUIT\r\n", err: ErrLongLine},
		{name: "a long line, then bare LF", in: strings.Repeat("a", MaxLine) + "\n.\nQUIT\r\n", rest: "QUIT\r\n", err: ErrBareLF, lost: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 2, 3, 4, 5, 7, 1 << 20} {
				d, out, rest, done := decode(tt.in, piece)
				if d.Err() != tt.err || d.Lost() != tt.lost || done == tt.open {
					t.Fatalf("in pieces of %d: error %v, lost %t, done %t; want %v, %t, %t", piece, d.Err(), d.Lost(), done, tt.err, tt.lost, !tt.open)
				}
				if rest != tt.rest {
					t.Errorf("in pieces of %d: %q is left, want %q", piece, rest, tt.rest)
				}
				if tt.err == nil && out != tt.out {
					t.Errorf("in pieces of %d: got %q, want %q", piece, out, tt.out)
				}
			}
		})
	}
}

// reference is the definition that DataDecoder must meet, in the plainest
// form: unstuff up to the first CRLF . CRLF.
func reference(in string) (out, rest string, ok bool) {
	body, rest, ok := strings.Cut("\r\n"+in, "\r\n.\r\n")
	if !ok {
		return "", "", false
	}
	body += "\r\n"
	body = strings.ReplaceAll(body, "\r\n.", "\r\n")
	return body[2:], rest, true
}

func clean(s string) bool {
	s = strings.ReplaceAll(s, "\r\n", "")
	return !strings.ContainsAny(s, "\r\n\x00")
}

func FuzzDataDecoder(f *testing.F) {
	for _, s := range []string{
		".\r\n", "a\r\n.\r\n", "..\r\n.\r\nQUIT", "a\n.\nb", "a\r\n.\r\r\n.\r\n", "a\r.\r\n.\r\n",
		"a\r\r\n.\r\n", "\r\n\r\n.\r\n", "\x00\r\n.\r\n", ".\r.\r\n", "a\r\n.b\r\n.\r\n",
	} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(64))
	}
	f.Fuzz(func(t *testing.T, in string, piece uint8) {
		d, out, rest, done := decode(in, int(piece)+1)
		want, wantRest, ok := reference(in)
		consumed := in[:len(in)-len(rest)]
		if !done { // a CR at the end may get its LF yet
			consumed = strings.TrimSuffix(consumed, "\r")
		}
		switch {
		case d.Lost():
			if !done || d.Err() == nil || clean(consumed) {
				t.Fatalf("lost after %q with error %v", consumed, d.Err())
			}
		case done != ok:
			t.Fatalf("done %t, want %t", done, ok)
		case ok && rest != wantRest:
			t.Fatalf("left %q, want %q", rest, wantRest)
		case (d.Err() == nil) != clean(consumed):
			t.Fatalf("%q: error %v", consumed, d.Err())
		case ok && d.Err() == nil && out != want:
			t.Fatalf("got %q, want %q", out, want)
		}
		// Where the octets were cut must not matter.
		whole, wout, wrest, wdone := decode(in, len(in)+1)
		if whole.Lost() != d.Lost() || wrest != rest || wdone != done || (whole.Err() == nil) != (d.Err() == nil) {
			t.Fatalf("in one piece: lost %t, left %q, done %t, error %v", whole.Lost(), wrest, wdone, whole.Err())
		}
		if d.Err() == nil && wout != out {
			t.Fatalf("in one piece: got %q, else %q", wout, out)
		}
	})
}

func TestLineChecker(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     *Reply
	}{
		{"nothing", "", nil},
		{"a line", "a\r\n", nil},
		{"no line end at the end", "a\r\nb", nil},
		{"CR at the end", "a\r", ErrBareCR},
		{"bare CR", "a\rb\r\n", ErrBareCR},
		{"bare LF", "a\nb\r\n", ErrBareLF},
		{"NUL", "\x00", ErrNUL},
		{"a lone dot is a line as any other", ".\r\n", nil},
		{"long", strings.Repeat("a", MaxLine+1), ErrLongLine},
	} {
		for _, piece := range []int{1, 2, 1 << 20} {
			var l LineChecker
			for src := []byte(tt.in); len(src) > 0; {
				n := min(piece, len(src))
				l.Add(src[:n])
				src = src[n:]
			}
			l.Finish()
			if l.Err() != tt.want {
				t.Errorf("%s in pieces of %d: got %v, want %v", tt.name, piece, l.Err(), tt.want)
			}
		}
	}
}

func BenchmarkDataDecoder(b *testing.B) {
	msg := append(bytes.Repeat([]byte("The quick brown fox jumps over the lazy dog, and then it sleeps.\r\n"), 62), ".\r\n"...)
	dst := make([]byte, 0, len(msg))
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	for b.Loop() {
		var d DataDecoder
		if _, _, done := d.Decode(dst[:0], msg); !done || d.Err() != nil {
			b.Fatal(d.Err())
		}
	}
}
