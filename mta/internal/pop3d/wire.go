package pop3d

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

var (
	errLong = errors.New("line too long")
	errGone = errors.New("line without end")
)

// readLine reads a line of at most limit octets, without its CRLF. A longer one
// is read to its end, and is errLong. A bare LF ends a line too: telnet and
// scripts send it, and nothing hangs on the difference here.
func readLine(in *bufio.Reader, limit int) (string, error) {
	var line []byte
	for skipped := 0; ; {
		piece, err := in.ReadSlice('\n')
		switch {
		case len(line)+len(piece) <= limit && skipped == 0:
			line = append(line, piece...)
		default:
			skipped += len(piece)
		}
		if err == bufio.ErrBufferFull && skipped < maxSkip {
			continue
		}
		if err == bufio.ErrBufferFull || err == io.EOF && len(line)+skipped > 0 {
			return "", errGone
		}
		if err != nil {
			return "", err
		}
		if skipped > 0 {
			return "", errLong
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
	}
}

// A command is one line of a client.
type command struct {
	verb string // in capitals
	arg  string // what stands behind the first blank, as it came
}

// parseCommand reads a command line. A verb is three or four letters (RFC 1939
// §3); where there is none, ok is false.
func parseCommand(line string) (c command, ok bool) {
	verb, arg, _ := strings.Cut(line, " ")
	if len(verb) < 3 || len(verb) > 4 || strings.ContainsRune(arg, 0) {
		return command{}, false
	}
	for i := range len(verb) {
		if c := verb[i] | 0x20; c < 'a' || c > 'z' {
			return command{}, false
		}
	}
	return command{strings.ToUpper(verb), arg}, true
}

// numbers reads an argument of so many numbers.
func numbers(arg string, min, max int) ([]int, bool) {
	fields := strings.Fields(arg)
	if len(fields) < min || len(fields) > max {
		return nil, false
	}
	all := make([]int, len(fields))
	for i, f := range fields {
		n, err := strconv.ParseUint(f, 10, 31)
		if err != nil {
			return nil, false
		}
		all[i] = int(n)
	}
	return all, true
}

// A deadlineWriter gives the other end a time to take each piece.
type deadlineWriter struct {
	conn net.Conn
	time time.Duration
}

// Write implements [io.Writer].
func (w *deadlineWriter) Write(p []byte) (int, error) {
	w.conn.SetWriteDeadline(time.Now().Add(w.time))
	return w.conn.Write(p)
}

// A stuffer writes the lines of a multi-line response: a dot in front of each
// line that begins with one (RFC 1939 §3). Lines end in CRLF; after the last
// one, close adds what is missing and the dot that ends the response.
type stuffer struct {
	out     *bufio.Writer
	started bool
	last    byte
}

// Write implements [io.Writer].
func (s *stuffer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if rest[0] == '.' && (!s.started || s.last == '\n') {
			s.out.WriteByte('.')
		}
		s.started = true
		end := len(rest)
		if i := indexLF(rest); i >= 0 {
			end = i + 1
		}
		if _, err := s.out.Write(rest[:end]); err != nil {
			return 0, err
		}
		s.last = rest[end-1]
		rest = rest[end:]
	}
	return len(p), nil
}

func (s *stuffer) close() {
	if s.started && s.last != '\n' {
		s.out.WriteString("\r\n")
	}
	s.out.WriteString(".\r\n")
}
