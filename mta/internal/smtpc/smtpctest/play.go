// Package smtpctest is an SMTP server for tests, one that says what a test
// wants it to say.
package smtpctest

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
)

// Play is the peer's side of a dialogue on conn: a line that begins with `S: `
// is sent, one with `C: ` has to come, `S! ` is sent at once, with a line end only where it has `\r\n`, and
// `--` closes. What came in all is returned. A dialogue that ends before the client
// does leaves the connection open and reads nothing.
func Play(t testing.TB, conn net.Conn, dialogue string) (came string) {
	t.Helper()
	var got strings.Builder
	r := bufio.NewReader(io.TeeReader(conn, &got))
	for line := range strings.Lines(dialogue) {
		line = strings.TrimSpace(line)
		verb, text, _ := strings.Cut(line, " ")
		switch verb {
		case "", "#":
		case "S:":
			io.WriteString(conn, text+"\r\n")
		case "S!":
			io.WriteString(conn, strings.ReplaceAll(text, `\r\n`, "\r\n"))
		case "C:":
			in, err := r.ReadString('\n')
			if want := text + "\r\n"; in != want {
				t.Errorf("got line %q (%v), want %q", in, err, want)
				conn.Close()
				return got.String()
			}
		case "--":
			conn.Close()
		default:
			t.Errorf("dialogue has %q", line)
		}
	}
	return got.String()
}
