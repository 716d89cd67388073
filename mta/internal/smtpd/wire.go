package smtpd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Why a command line is refused.
var (
	errBareLine = errors.New("command line ends in LF alone")
	errLongLine = errors.New("command line too long")
)

// bufferSize holds the longest line of AUTH and a message of the usual size.
const bufferSize = 16 << 10

// buffers are what a session needs while it runs.
type buffers struct {
	in  *bufio.Reader
	out []byte
}

// A wire is a session's connection. It has three promises: replies go out in
// one write, just before the session would wait for the client; every read and
// write has a deadline; and after the first error nothing is read any more, so
// that what was left of a content is never taken for commands.
//
// One goroutine reads and writes; drain and cutOff may be called from others.
type wire struct {
	*buffers
	write  time.Duration // for one flush
	err    error         // the first one of reading
	broken error         // the first one of writing

	total time.Duration // for what is waited for now, from the first read on
	gap   time.Duration // between two reads of it; zero: only total counts
	until time.Time     // when total is over; zero: nothing was read yet

	mu       sync.Mutex // guards what follows
	conn     net.Conn   // a *tls.Conn after the handshake
	idle     bool       // waits for a command, with no transaction open
	draining bool       // the session ends when it is idle
	cut      bool       // the session ends now
}

// await begins to wait for something: it must be there in total, with no pause
// over gap. A session that is idle meanwhile can be drained.
func (w *wire) await(total, gap time.Duration, idle bool) {
	w.total, w.gap, w.until = total, gap, time.Time{}
	w.mu.Lock()
	w.idle = idle
	w.mu.Unlock()
}

// Read implements [io.Reader] for w.in.
func (w *wire) Read(p []byte) (int, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	if w.err != nil {
		return 0, w.err
	}
	w.setDeadline()
	n, err := w.conn.Read(p)
	if err != nil {
		w.err = err
	}
	return n, err
}

func (w *wire) setDeadline() {
	now := time.Now()
	if w.until.IsZero() {
		w.until = now.Add(w.total)
	}
	deadline := w.until
	if w.gap > 0 && now.Add(w.gap).Before(deadline) {
		deadline = now.Add(w.gap)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut || w.draining && w.idle {
		deadline = past
	}
	w.conn.SetReadDeadline(deadline)
}

var past = time.Unix(1, 0)

// flush writes the replies that wait.
func (w *wire) flush() error {
	if len(w.out) == 0 || w.broken != nil {
		return w.broken
	}
	w.conn.SetWriteDeadline(time.Now().Add(w.write))
	_, w.broken = w.conn.Write(w.out)
	w.out = w.out[:0]
	return w.broken
}

// readLine returns the next command line without its CRLF; it is good until
// the next read. A line that ends in LF alone, or that is over limit, is taken
// off the wire and is an error; so is the end of the connection.
func (w *wire) readLine(limit int) ([]byte, error) {
	line, err := w.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, w.skipLine()
	}
	switch {
	case err != nil:
		return nil, err
	case len(line) > limit:
		return nil, errLongLine
	case !bytes.HasSuffix(line, crlf):
		return nil, errBareLine
	}
	return line[:len(line)-2], nil
}

var crlf = []byte("\r\n")

// skipLine takes the rest of an overlong line off the wire.
func (w *wire) skipLine() error {
	for skipped := 0; skipped < maxSkip; {
		part, err := w.in.ReadSlice('\n')
		if err == nil {
			return errLongLine
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		skipped += len(part)
	}
	w.err = errLongLine
	return io.ErrUnexpectedEOF
}

// startTLS shakes hands. What the client sent before in plain text must have
// been dealt with.
func (w *wire) startTLS(config *tls.Config, timeout time.Duration) (tls.ConnectionState, error) {
	conn := tls.Server(w.conn, config)
	w.mu.Lock()
	deadline := time.Now().Add(timeout)
	w.idle = true // no transaction is open (RFC 3207 §4)
	if w.draining {
		deadline = past
	}
	conn.SetDeadline(deadline)
	w.mu.Unlock()
	if err := conn.Handshake(); err != nil {
		w.err = err
		return tls.ConnectionState{}, err
	}
	w.mu.Lock()
	w.conn = conn
	w.mu.Unlock()
	w.in.Reset(w)
	return conn.ConnectionState(), nil
}

// drain lets the session end as soon as it is idle.
func (w *wire) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	if w.idle {
		w.conn.SetReadDeadline(past)
	}
}

// cutOff ends the session's wait for the client, whatever it waits for.
func (w *wire) cutOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining, w.cut = true, true
	w.conn.SetReadDeadline(past)
}

func (w *wire) isDraining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining
}

// close sends what waits and closes. With linger it first takes off the wire
// what the client is still sending: otherwise the client's system may throw
// away our last reply together with the connection (RFC 1122 §4.2.2.13).
func (w *wire) close(linger bool) {
	w.flush()
	if half, ok := w.conn.(interface{ CloseWrite() error }); ok && linger && half.CloseWrite() == nil {
		w.conn.SetReadDeadline(time.Now().Add(lingerTime))
		io.CopyN(io.Discard, w.conn, lingerOctets)
	}
	w.conn.Close()
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
