package smtp

import "bytes"

// MaxLine is the longest line of content, with its CRLF, where nothing else is
// said. RFC 5321 §4.5.3.1.6 has 1,000 octets and asks to take more; HTML mail
// with lines of many thousands is common.
const MaxLine = 64 << 10

// A LineChecker holds that content is lines: no bare CR, no bare LF, no NUL,
// and none over MaxLine. The zero value is ready. It remembers the first
// violation.
type LineChecker struct {
	MaxLine int // octets with CRLF; zero is [MaxLine]

	line int  // octets of the line that is not ended yet
	cr   bool // the octet before was CR
	err  *Reply
}

// Add checks the octets that come next. It is false when the framing of lines
// is broken by them or was before: a line that is only too long is an error of
// [LineChecker.Err] but still a line.
func (l *LineChecker) Add(b []byte) bool {
	if l.broken() {
		return false
	}
	crBefore := l.cr
	if l.good(b) {
		return true
	}
	l.err = firstViolation(b, crBefore) // goes before a line that is too long
	return false
}

// good is Add for content without violations; it finds that there is one, but
// not which is the first.
func (l *LineChecker) good(b []byte) bool {
	crs, lfs := 0, 0
	if l.cr {
		crs = 1 // it waits for its LF
	}
	for rest := b; len(rest) > 0; {
		j := bytes.IndexByte(rest, '\n')
		if j < 0 {
			l.grow(len(rest))
			l.cr = rest[len(rest)-1] == '\r'
			break
		}
		if j > 0 {
			l.cr = rest[j-1] == '\r'
		}
		l.grow(j + 1)
		if !l.cr {
			return false
		}
		l.line, l.cr = 0, false
		lfs++
		rest = rest[j+1:]
	}
	crs += bytes.Count(b, cr)
	if l.cr {
		lfs++ // may come yet
	}
	return crs == lfs && bytes.IndexByte(b, 0) < 0
}

// firstViolation looks octet by octet; cr tells that the octet before b is CR.
func firstViolation(b []byte, cr bool) *Reply {
	for _, c := range b {
		switch {
		case cr && c != '\n':
			return ErrBareCR
		case !cr && c == '\n':
			return ErrBareLF
		case c == 0:
			return ErrNUL
		}
		cr = c == '\r'
	}
	return ErrBareCR // the last octet, and not good: cannot be
}

var cr = []byte{'\r'}

// Finish is for content that ends without an end of its own, as BDAT's does:
// a CR at the very end is a bare one.
func (l *LineChecker) Finish() {
	if l.cr && !l.broken() {
		l.err = ErrBareCR
	}
}

// Err is the reply to the first violation; nil: there was none.
func (l *LineChecker) Err() *Reply { return l.err }

func (l *LineChecker) grow(n int) {
	l.line += n
	limit := l.MaxLine
	if limit == 0 {
		limit = MaxLine
	}
	if l.line > limit && l.err == nil {
		l.err = ErrLongLine
	}
}

// broken tells that not only a line is too long.
func (l *LineChecker) broken() bool { return l.err != nil && l.err != ErrLongLine }
