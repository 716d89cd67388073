package smtp

import (
	"bufio"
	"bytes"
)

// A DataWriter frames content for DATA (RFC 5321 §4.5.2): a dot goes before
// each line that begins with one, and Close writes the end. Content whose
// lines end in CRLF keeps every octet; CRLF is added where the last line lacks
// it (§4.1.1.4). A bare CR or LF must never be sent (§2.3.8), and one that got
// through to here could end the content where another server sees a line end:
// LF becomes CRLF, and CR a blank.
type DataWriter struct {
	W       *bufio.Writer // nothing else writes to it before Close
	midline bool          // what was written last is not a line end
	cr      bool          // a CR is held back: LF may follow
}

// Write implements [io.Writer].
func (d *DataWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if d.cr {
			d.cr = false
			if p[0] == '\n' {
				d.endLine()
				p = p[1:]
				continue
			}
			d.put([]byte{' '})
		}
		i := bytes.IndexByte(p, '\n')
		line := p
		if i >= 0 {
			line = p[:i]
		}
		p = p[len(line):]
		d.line(line)
		if i >= 0 {
			d.cr = false
			d.endLine()
			p = p[1:]
		}
	}
	return n, d.err()
}

// line writes octets without LF. A CR at their end is held back.
func (d *DataWriter) line(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\r')
		if i < 0 {
			d.put(b)
			return
		}
		d.put(b[:i])
		if i == len(b)-1 {
			d.cr = true
			return
		}
		d.put([]byte{' '})
		b = b[i+1:]
	}
}

func (d *DataWriter) put(b []byte) {
	if len(b) == 0 {
		return
	}
	if !d.midline && b[0] == '.' {
		d.W.WriteByte('.')
	}
	d.midline = true
	d.W.Write(b)
}

func (d *DataWriter) endLine() {
	d.midline = false
	d.W.WriteString("\r\n")
}

// err is the error that the buffer keeps from its first failed write on.
func (d *DataWriter) err() error {
	_, err := d.W.Write(nil)
	return err
}

// Close writes the end of the content, and flushes nothing.
func (d *DataWriter) Close() error {
	if d.cr || d.midline {
		d.cr = false
		d.endLine()
	}
	_, err := d.W.WriteString(".\r\n")
	return err
}
