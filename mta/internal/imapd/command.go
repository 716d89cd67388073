package imapd

import (
	"bufio"
	"bytes"
	"errors"
	"math"
	"strings"
	"time"
)

// A command is what the gate knows of the command in hand.
type command struct {
	name    string
	size    int  // octets without literals
	literal bool // a literal, and then more of the command, follows
	sync    bool // which the client sends only when it is asked to
	message bool // it is APPEND's message
}

// next makes the next chunk, or answers the client itself.
func (g *gate) next() error {
	g.mu.Lock()
	answered, asked := g.answered, g.asked
	g.asked = false
	g.mu.Unlock()
	switch c := &g.command; {
	case c.literal && answered: // nobody wants the rest of it
		return g.drop()
	case c.literal:
		c.literal = false
		return g.continued()
	case asked && !answered:
		return g.reply()
	}
	return g.begin()
}

// drop reads the rest of a command that is answered. Of a literal that the
// client was not asked for, nothing comes.
func (g *gate) drop() error {
	for g.command.literal && !g.command.sync {
		for g.left > 0 {
			if err := g.wait(time.Now().Add(literalPause)); err != nil {
				return err
			}
			n, err := g.in.Discard(int(min(g.left, 1<<20)))
			g.waited()
			if g.left -= int64(n); err != nil {
				return err
			}
		}
		line, err := g.line(maxCommand)
		if err != nil && line == nil {
			return err
		}
		g.literal(line)
	}
	g.left, g.command.literal = 0, false
	return nil
}

// begin reads the first line of a command.
func (g *gate) begin() error {
	line, err := g.line(maxCommand)
	if line == nil {
		return err
	}
	text := string(bytes.TrimRight(line, "\r\n"))
	tag, rest, _ := strings.Cut(text, " ")
	name, args, _ := strings.Cut(rest, " ")
	c := &g.command
	*c = command{name: strings.ToUpper(name), size: len(line)}
	if !isTag(tag) || name == "" {
		g.start("*")
		return g.answer("BAD [CLIENTBUG] Expected a tag and a command")
	}
	g.start(tag)
	if c.name != "AUTHENTICATE" {
		g.literal(line)
	}
	switch {
	case err != nil:
		return g.refuse("BAD [CLIENTBUG] Line is too long")
	case !wellFormed(text):
		return g.refuse("BAD [CLIENTBUG] Malformed line")
	case c.name == "APPEND" && g.loggedIn():
		c.message = c.literal && !strings.HasPrefix(args, "{")
	}
	if c.literal && g.left > maxLiteral && !c.message {
		return g.refuse("NO [TOOBIG] Literal is too large")
	}
	if c.name == "STARTTLS" && args == "" && g.secure != nil && !g.loggedIn() {
		return g.startTLS()
	}
	g.chunk = line
	return nil
}

// start begins a command.
func (g *gate) start(tag string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tag, g.answered = tag, false
}

// refuse answers a command that go-imap does not get to see.
func (g *gate) refuse(text string) error {
	if err := g.answer(text); err != nil {
		return err
	}
	return g.drop()
}

// continued reads what follows a literal. go-imap has the first part of the
// command, so a mistake here ends the session.
func (g *gate) continued() error {
	line, err := g.line(maxCommand - min(g.command.size, maxCommand-2))
	if line == nil {
		return err
	}
	text := string(bytes.TrimRight(line, "\r\n"))
	c := &g.command
	c.size += len(line)
	g.literal(line)
	switch {
	case err != nil, !wellFormed(text):
		return g.fatal("Malformed line after a literal")
	case c.message && text != "" && text != ")":
		// go-imap would say nothing at all then.
		return g.fatal("One APPEND has one message")
	case c.name == "APPEND" && g.loggedIn():
		c.message = c.literal
	case g.left > maxLiteral:
		return g.fatal("[TOOBIG] Literal is too large")
	}
	g.chunk = line
	return nil
}

// reply reads a line that go-imap asked for, in AUTHENTICATE or IDLE.
func (g *gate) reply() error {
	line, err := g.line(maxContinuation)
	if line == nil {
		return err
	}
	if err != nil {
		return g.fatal("Line is too long")
	}
	if text := bytes.TrimRight(line, "\r\n"); g.command.name == "IDLE" && bytes.EqualFold(text, []byte("DONE")) {
		line = []byte("DONE\r\n")
	}
	g.chunk = line
	return nil
}

func (g *gate) fatal(text string) error {
	g.end(text)
	return errEnded
}

// answer is the gate's own response to the command in hand.
func (g *gate) answer(text string) error {
	_, err := g.Write([]byte(g.tag + " " + text + "\r\n"))
	return err
}

// line reads a line, with its end. One that is longer than limit is read to
// its end, and its beginning comes with an error.
func (g *gate) line(limit int) (line []byte, err error) {
	if g.in.Buffered() == 0 {
		g.mu.Lock()
		deadline := g.deadline
		g.mu.Unlock()
		if err := g.wait(deadline); err != nil {
			return nil, err
		}
		defer g.waited()
	}
	var long error
	for {
		part, err := g.in.ReadSlice('\n')
		if room := limit - len(line); len(part) > room {
			part, long = part[:max(room, 0)], errLongLine
		}
		line = append(line, part...)
		switch err {
		case nil:
			return line, long
		case bufio.ErrBufferFull:
		default:
			return nil, err
		}
	}
}

var errLongLine = errors.New("line is too long")

// literal looks for the announcement of a literal at the end of a line
// (RFC 3501 §4.3, RFC 7888).
func (g *gate) literal(line []byte) {
	c := &g.command
	c.literal, c.sync, g.left = false, false, 0
	text := bytes.TrimRight(line, "\r\n")
	open := bytes.LastIndexByte(text, '{')
	if open < 0 || text[len(text)-1] != '}' {
		return
	}
	digits, nonSync := bytes.CutSuffix(text[open+1:len(text)-1], []byte("+"))
	if len(digits) == 0 {
		return
	}
	var n int64
	for _, d := range digits {
		if d < '0' || d > '9' {
			return
		}
		if n = n*10 + int64(d-'0'); n > math.MaxInt64/100 {
			n = math.MaxInt64 / 100 // as good as any such size
		}
	}
	c.literal, c.sync, g.left = true, !nonSync, n
}

// isTag tells whether s is a tag (RFC 3501 §9).
func isTag(s string) bool {
	return s != "" && s != "*" && len(s) <= maxTag && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\+`, r)
	})
}

const maxTag = 100 // clients have four or five octets

// wellFormed tells whether a line has no control characters that a line cannot
// have, and ends each quoted string that it begins.
func wellFormed(text string) bool {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == 0 || c == '\r':
			return false
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		}
	}
	return !quoted
}
