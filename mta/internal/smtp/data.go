package smtp

import "bytes"

// Why content is refused (RFC 5321 §2.3.8, §4.5.3.1.6; RFC 5322 §2.3).
var (
	ErrBareLF   = &Reply{Code: 550, Enh: Enh{5, 6, 11}, Text: "Bare LF in the message: lines end in CRLF (RFC 5321 section 2.3.8)"}
	ErrBareCR   = &Reply{Code: 550, Enh: Enh{5, 6, 11}, Text: "Bare CR in the message: lines end in CRLF (RFC 5321 section 2.3.8)"}
	ErrNUL      = &Reply{Code: 550, Enh: Enh{5, 6, 11}, Text: "NUL in the message (RFC 5322 section 2.3)"}
	ErrLongLine = &Reply{Code: 550, Enh: Enh{5, 6, 0}, Text: "A line of the message is too long"}
)

// A DataDecoder undoes the framing of DATA (RFC 5321 §4.5.2): it finds the
// CRLF . CRLF that ends it, and nothing else ever does, and takes the stuffed
// dots out. It checks the content as a [LineChecker] does. The zero value is
// ready for the octet after the CRLF of the DATA command.
//
// After a violation it goes on to look for the end, so that a session can
// answer and stay in step. That is impossible when a line of one dot has a line
// end that is not CRLF: a peer may hold that for the end, and what follows it
// for commands. [DataDecoder.Lost] then says so, and the session must end.
type DataDecoder struct {
	Check LineChecker // its MaxLine may be set before the first octet

	state dotState
	slow  scanner // follows along block by block; decides once content is bad
	bad   bool
	lost  bool
}

// A dotState is how much of CRLF . CRLF the decoder has just seen.
type dotState uint8

const (
	lineStart dotState = iota // CRLF, or nothing yet
	lineDot                   // CRLF .
	lineDotCR                 // CRLF . CR
	midLine                   // anything else
	midLineCR                 // CR
)

// Decode appends to dst what src holds of the content. It stops after the end
// of DATA: n is how much of src was used, and done tells that the end was
// reached or can no longer be found ([DataDecoder.Lost]). Once
// [DataDecoder.Err] is not nil, nothing is appended that could be used.
func (d *DataDecoder) Decode(dst, src []byte) (out []byte, n int, done bool) {
	if d.bad {
		n, done = d.rescan(src)
		return dst, n, done
	}
	before := d.slow
	out, n, done = d.unstuff(dst, src)
	if !d.Check.Add(src[:n]) {
		d.bad, d.slow = true, before
		n, done = d.rescan(src)
		return dst, n, done
	}
	d.slow.follow(src[:n])
	return out, n, done
}

// Err is what is wrong with the content so far: nil, or the reply to it.
func (d *DataDecoder) Err() *Reply { return d.Check.Err() }

// Lost tells that the end of the content cannot be told from a part of it.
func (d *DataDecoder) Lost() bool { return d.lost }

// rescan looks for the end in content that is refused.
func (d *DataDecoder) rescan(src []byte) (n int, done bool) {
	n, end := d.slow.scan(src)
	d.lost = end == endLookalike
	return n, end != endNone
}

// unstuff is Decode for content without violations. On content that has some
// it finds the same end or none; Decode then looks again.
func (d *DataDecoder) unstuff(dst, src []byte) (out []byte, n int, done bool) {
	i := 0
	for i < len(src) {
		if d.state == midLine {
			j := bytes.Index(src[i:], crlfDot)
			if j < 0 {
				dst = append(dst, src[i:]...)
				d.state = tailState(src[i:])
				return dst, len(src), false
			}
			dst = append(dst, src[i:i+j+2]...)
			i += j + len(crlfDot)
			d.state = lineDot
			continue
		}
		c := src[i]
		switch {
		case d.state == lineDotCR && c == '\n':
			return dst, i + 1, true
		case d.state == lineDot && c == '\r':
			d.state = lineDotCR // not appended: the end, or a bare CR
			i++
		case d.state == lineStart && c == '.':
			d.state = lineDot // not appended: the end, or stuffing
			i++
		case d.state == midLineCR && c == '\n':
			dst = append(dst, c)
			d.state = lineStart
			i++
		default: // looked at again, as part of a line
			d.state = midLine
		}
	}
	return dst, i, false
}

var crlfDot = []byte("\r\n.")

// tailState is the state after b, which came in the middle of a line and has
// no CRLF . in it.
func tailState(b []byte) dotState {
	switch {
	case bytes.HasSuffix(b, crlfDot[:2]):
		return lineStart
	case b[len(b)-1] == '\r':
		return midLineCR
	}
	return midLine
}

// A scanner looks for the end of DATA octet by octet, in content of any kind.
type scanner struct {
	last uint64 // the octets before, the latest one lowest
	used bool
}

// An end is what a scanner found.
type end uint8

const (
	endNone      end = iota
	endTrue          // CRLF . CRLF
	endLookalike     // a dot between two line ends that are not both CRLF
)

// begin stands for the CRLF of the DATA command.
const begin = '\r'<<8 | '\n'

// follow notes b, which has no end in it.
func (s *scanner) follow(b []byte) {
	s.start()
	if len(b) > 8 {
		b = b[len(b)-8:]
	}
	for _, c := range b {
		s.last = s.last<<8 | uint64(c)
	}
}

func (s *scanner) start() {
	if !s.used {
		s.last, s.used = begin, true
	}
}

func (s *scanner) scan(b []byte) (n int, e end) {
	s.start()
	for i, c := range b {
		s.last = s.last<<8 | uint64(c)
		if e := s.found(); e != endNone {
			return i + 1, e
		}
	}
	return len(b), endNone
}

// found judges the octets up to the latest.
func (s *scanner) found() end {
	at := func(back int) byte { return byte(s.last >> (8 * back)) }
	isEnd := at(0) == '\r' || at(0) == '\n'
	switch {
	case at(4) == '\r' && at(3) == '\n' && at(2) == '.' && at(1) == '\r':
		if at(0) == '\n' {
			return endTrue
		}
		return endLookalike // CRLF . CR
	case at(1) != '.' || !isEnd:
		return endNone
	case at(2) == '\r':
		return endLookalike // CR . and a line end
	case at(2) != '\n':
		return endNone // a dot at the end of a line of text
	case at(3) == '\r' && at(0) == '\r':
		return endNone // the next octet decides
	}
	return endLookalike // LF . and a line end, or CRLF . LF
}
