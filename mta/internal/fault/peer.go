package fault

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"
)

// A peer is one session of a sink.
type peer struct {
	sink   *Sink
	conn   net.Conn
	r      *bufio.Reader
	w      *bufio.Writer
	random *rand.Rand

	node  string // from EHLO
	begin time.Time
	rcpts []string
	from  bool // there was a MAIL
	err   error
}

// idle is how long a session may say nothing.
const idle = 10 * time.Minute

func newPeer(s *Sink, conn net.Conn) *peer {
	return &peer{
		sink: s, conn: conn, r: bufio.NewReaderSize(conn, 64<<10), w: bufio.NewWriter(conn),
		random: rand.New(rand.NewPCG(s.seed.Add(1), 0)),
	}
}

func (p *peer) serve() {
	if !p.stage("connect", "220 sink.test ESMTP") {
		return
	}
	for {
		if p.r.Buffered() == 0 && p.w.Flush() != nil {
			return
		}
		p.conn.SetDeadline(time.Now().Add(idle))
		line, err := p.r.ReadString('\n')
		if err != nil || !p.command(strings.TrimRight(line, "\r\n")) {
			p.w.Flush()
			return
		}
	}
}

// command answers one command; false ends the session.
func (p *peer) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		p.node = rest
		return p.stage("ehlo", "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
	case "MAIL":
		p.begin, p.rcpts = time.Now(), nil
		p.from = p.stage("mail", "250 2.1.0 ok")
		return p.from || p.err == nil
	case "RCPT":
		if !p.from {
			return p.say("503 5.5.1 no MAIL")
		}
		if p.stage("rcpt", "250 2.1.5 ok") {
			p.rcpts = append(p.rcpts, path(rest))
		}
		return p.err == nil
	case "DATA":
		return p.data()
	case "RSET":
		p.rcpts, p.from = nil, false
		return p.say("250 2.0.0 ok")
	case "NOOP":
		return p.say("250 2.0.0 ok")
	case "QUIT":
		p.say("221 2.0.0 bye")
		return false
	}
	return p.say("502 5.5.2 what?")
}

// path is what stands between < and >.
func path(s string) string {
	_, s, _ = strings.Cut(s, "<")
	s, _, _ = strings.Cut(s, ">")
	return s
}

func (p *peer) say(reply string) bool {
	if p.err == nil {
		_, p.err = p.w.WriteString(reply + "\r\n")
	}
	return p.err == nil
}

// decide returns what the quirk does at a stage of this transaction; empty: nothing.
func (p *peer) decide(at string) string {
	q := p.sink.quirk
	if q.At != at || p.sink.isHealed() || p.random.Float64() >= q.Share {
		return ""
	}
	p.sink.misbehaved.Add(1)
	return q.Do
}

// stage does what the quirk says, or gives the good reply. It is true if that
// was given; else p.err tells whether the session is over.
func (p *peer) stage(at, good string) bool {
	do := p.decide(at)
	if do == "" {
		return p.say(good)
	}
	p.misbehave(at, do, good)
	return false
}

func (p *peer) misbehave(at, do, good string) {
	p.w.Flush()
	switch do {
	case "4xx":
		p.say(temporary(at))
	case "5xx":
		p.say("554 5.0.0 never")
	case "late":
		p.wait(p.sink.late, false, nil)
		p.say(good)
	case "hang", "never":
		p.wait(idle, true, p.sink.healed)
	}
	p.w.Flush()
	if do != "4xx" && do != "5xx" || at == "connect" {
		p.err = io.EOF
	}
}

// temporary is a reply for now.
func temporary(at string) string {
	if at == "connect" {
		return "421 4.3.2 not now"
	}
	return "451 4.3.0 not now"
}

// wait is silent for a while, or until over is closed, or, if told so, until the
// peer leaves.
func (p *peer) wait(d time.Duration, leaves bool, over <-chan struct{}) {
	p.conn.SetReadDeadline(time.Now().Add(d))
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, p.r)
	}()
	left := gone
	if !leaves {
		left = nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-left:
	case <-over:
	case <-p.sink.closing:
	}
	p.conn.SetReadDeadline(time.Now()) // ends the goroutine
	<-gone
}

// data takes a message.
func (p *peer) data() bool {
	if len(p.rcpts) == 0 {
		return p.say("554 5.5.1 no valid recipients")
	}
	if !p.stage("data", "354 go on") {
		p.from = false
		return p.err == nil
	}
	if p.w.Flush() != nil {
		return false
	}
	content, ok := p.content()
	if !ok {
		return false
	}
	p.from = false
	return p.end(content)
}

// end answers the final dot. A message that is refused has not arrived; one that
// is not answered has, and the peer cannot know.
func (p *peer) end(content []byte) bool {
	const good = "250 2.0.0 taken"
	do := p.decide("end")
	if do == "4xx" || do == "5xx" {
		p.misbehave("end", do, good)
		return p.err == nil
	}
	a := arrival{node: p.node, begin: p.begin, end: time.Now()}
	if do != "" {
		p.sink.take(a, p.rcpts, content)
		p.misbehave("end", do, good)
		return false
	}
	a.seen = p.say(good) && p.w.Flush() == nil
	a.end = time.Now()
	p.sink.take(a, p.rcpts, content)
	return a.seen
}

// content reads up to the final dot. A quirk in its midst drops the connection
// or stops reading.
func (p *peer) content() ([]byte, bool) {
	var b bytes.Buffer
	q := p.sink.quirk
	odd := q.At == "content" && !p.sink.isHealed() && p.random.Float64() < q.Share
	stop := p.random.IntN(2000)
	for {
		p.conn.SetDeadline(time.Now().Add(idle))
		line, err := p.r.ReadSlice('\n')
		if err != nil {
			return nil, false
		}
		if string(line) == ".\r\n" {
			return b.Bytes(), true
		}
		if line[0] == '.' {
			line = line[1:]
		}
		b.Write(line)
		if odd && b.Len() > stop {
			p.sink.misbehaved.Add(1)
			if q.Do == "hang" {
				p.hold()
			}
			return nil, false
		}
	}
}

// hold keeps the connection open without reading.
func (p *peer) hold() {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.sink.healed:
	}
}
