package smtp_test

import (
	"bufio"
	"bytes"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// frame is content as a DataWriter sends it, when it is written in pieces of n
// octets.
func frame(content string, n int) string {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	d := smtp.DataWriter{W: w}
	for len(content) > 0 {
		k := min(n, len(content))
		d.Write([]byte(content[:k]))
		content = content[k:]
	}
	d.Close()
	w.Flush()
	return b.String()
}

func TestDataWriter(t *testing.T) {
	tests := []struct{ name, content, want string }{
		{"a line", "hi\r\n", "hi\r\n.\r\n"},
		{"nothing", "", ".\r\n"},
		{"an empty line", "\r\n", "\r\n.\r\n"},
		{"no CRLF at the end", "hi", "hi\r\n.\r\n"},
		{"a CR at the end", "hi\r", "hi\r\n.\r\n"},
		{"leading dots", ".\r\n..\r\n.a\r\nb.\r\n", "..\r\n...\r\n..a\r\nb.\r\n.\r\n"},
		{"a dot at the very end", "hi\r\n.", "hi\r\n..\r\n.\r\n"},
		{"bare LF", "a\nb\r\n", "a\r\nb\r\n.\r\n"},
		{"bare CR", "a\rb\r\n", "a b\r\n.\r\n"},
		{"CR CR LF", "a\r\r\nb\r\n", "a \r\nb\r\n.\r\n"},
		{"LF CR", "a\n\rb", "a\r\n b\r\n.\r\n"},
		{"an end hidden behind a bare LF", "a\n.\r\nMAIL", "a\r\n..\r\nMAIL\r\n.\r\n"},
		{"an end hidden behind a bare CR", "a\r.\r\nMAIL", "a .\r\nMAIL\r\n.\r\n"},
		{"an end hidden between bare CRs", "a\r\n\r.\r\r\nMAIL", "a\r\n . \r\nMAIL\r\n.\r\n"},
		{"other octets", "\x00\xff\x7f\r\n", "\x00\xff\x7f\r\n.\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for n := 1; n <= len(tt.content)+1; n++ {
				if got := frame(tt.content, n); got != tt.want {
					t.Errorf("in pieces of %d: got %q, want %q", n, got, tt.want)
				}
			}
		})
	}
}

func TestDataWriterError(t *testing.T) {
	d := smtp.DataWriter{W: bufio.NewWriterSize(failingWriter{}, 16)}
	if _, err := d.Write([]byte(strings.Repeat("x", 100))); err == nil {
		t.Error("no error")
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, bytes.ErrTooLarge }

// Whatever the content, only its end is the end, and clean content comes out
// as it was.
func FuzzDataWriter(f *testing.F) {
	for _, s := range []string{"", ".", "hi\r\n", "\r\n.\r\n", "a\n.\n", "a\r.\r", "\r\r\n.\r\r\n", "x\r\n..\r\n."} {
		f.Add(s, 3)
	}
	f.Fuzz(func(t *testing.T, content string, n int) {
		wire := frame(content, max(1, n%64))
		end := strings.Index("\r\n"+wire, "\r\n.\r\n")
		if end != len(wire)-3 {
			t.Fatalf("the end is at %d of %q", end, wire)
		}
		lines := strings.TrimSuffix(wire, ".\r\n")
		if strings.ContainsAny(strings.ReplaceAll(lines, "\r\n", ""), "\r\n") {
			t.Fatalf("bare CR or LF in %q", wire)
		}
		if strings.ContainsAny(strings.ReplaceAll(content, "\r\n", ""), "\r\n") {
			return
		}
		if content != "" && !strings.HasSuffix(content, "\r\n") {
			content += "\r\n"
		}
		var d smtp.DataDecoder
		got, used, done := d.Decode(nil, []byte(wire))
		if d.Err() != nil { // NUL, which is for others to keep out
			return
		}
		if string(got) != content || used != len(wire) || !done {
			t.Errorf("%q came out as %q (%d of %d, %v)", content, got, used, len(wire), done)
		}
	})
}
