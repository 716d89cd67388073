package fault

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// clients send mail until they are stopped: each is a session that begins anew
// wherever it breaks, at another node.
type clients struct {
	load    Load
	ledger  *Ledger
	nodes   []*Node
	domains []string // of next hops; mail for the mailboxes is sent beside it
	seed    uint64

	number atomic.Uint64
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// answerTime is how long a client waits for a reply: longer than any fault lasts.
const answerTime = 3 * time.Minute

func (c *clients) start(ctx context.Context) {
	ctx, c.stop = context.WithCancel(ctx)
	for i := range c.load.Sessions {
		random := rand.New(rand.NewPCG(c.seed, uint64(i)))
		c.wg.Go(func() {
			for ctx.Err() == nil {
				if err := c.session(ctx, random); err != nil {
					wait(ctx, 5*time.Millisecond+upTo(random, 20*time.Millisecond))
				}
			}
		})
	}
}

// end lets each session finish its message and waits for them.
func (c *clients) end() {
	c.stop()
	c.wg.Wait()
}

func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// session sends messages until it breaks or ctx is done.
func (c *clients) session(ctx context.Context, random *rand.Rand) error {
	conn, err := net.DialTimeout("tcp", c.nodes[random.IntN(len(c.nodes))].Addr(), answerTime)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{conn: conn, r: textproto.NewReader(bufio.NewReader(conn))}
	if s.reply(); s.code != 220 {
		return s.failed()
	}
	if s.ask("EHLO client.test"); s.code != 250 {
		return s.failed()
	}
	for ctx.Err() == nil {
		if err := c.send(s, random); err != nil {
			return err
		}
		wait(ctx, c.load.Pause)
	}
	s.ask("QUIT")
	return nil
}

// send hands in one message.
func (c *clients) send(s *session, random *rand.Rand) error {
	token := fmt.Sprintf("%08x-%d", uint32(c.seed), c.number.Add(1))
	rcpts := c.recipients(random)
	size := 300 + random.IntN(6000)
	if random.Float64() < c.load.Large {
		size = 130<<10 + random.IntN(70<<10)
	}
	content := compose(random, token, rcpts, size)
	for _, line := range slices.Concat([]string{"MAIL FROM:<" + sender + "> ENVID=" + token}, toRCPT(rcpts), []string{"DATA"}) {
		s.ask(line)
		if s.err != nil {
			return s.err
		}
		if s.code != 250 && s.code != 354 {
			c.ledger.turnedAway(s.code)
			s.ask("RSET")
			return s.failed() // another session, in a moment
		}
	}
	c.ledger.send(token, rcpts, content)
	s.content(content)
	s.reply()
	if s.err != nil {
		return s.err
	}
	c.ledger.answered(token, s.code, s.text)
	if s.code != 250 {
		return s.failed()
	}
	return nil
}

func toRCPT(rcpts []string) []string {
	lines := make([]string, len(rcpts))
	for i, rcpt := range rcpts {
		lines[i] = "RCPT TO:<" + rcpt + ">"
	}
	return lines
}

// mailboxes are the accounts of each node.
var mailboxes = []string{"ann@mail.test", "ben@mail.test", "cat@mail.test"}

// recipients are one to three, in mailboxes and at next hops.
func (c *clients) recipients(random *rand.Rand) []string {
	var all []string
	for range 1 + random.IntN(3) {
		rcpt := mailboxes[random.IntN(len(mailboxes))]
		if random.IntN(5) > 1 {
			rcpt = fmt.Sprintf("u%d@%s", random.IntN(1000), c.domains[random.IntN(len(c.domains))])
		}
		if !slices.Contains(all, rcpt) {
			all = append(all, rcpt)
		}
	}
	return all
}

// A session is the client's end of one. Once err is set it does nothing.
type session struct {
	conn net.Conn
	r    *textproto.Reader
	code int
	text string
	err  error
}

func (s *session) failed() error {
	if s.err != nil {
		return s.err
	}
	return fmt.Errorf("%d %s", s.code, s.text)
}

func (s *session) ask(line string) {
	if s.err != nil {
		return
	}
	s.conn.SetDeadline(time.Now().Add(answerTime))
	if _, s.err = s.conn.Write([]byte(line + "\r\n")); s.err == nil {
		s.reply()
	}
}

func (s *session) reply() {
	if s.err != nil {
		return
	}
	s.conn.SetDeadline(time.Now().Add(answerTime))
	s.code, s.text, s.err = s.r.ReadResponse(0)
}

// content sends a message, in two writes so that a fault may come between.
func (s *session) content(content []byte) {
	if s.err != nil {
		return
	}
	wire := strings.ReplaceAll("\n"+string(content), "\n.", "\n..")[1:] + ".\r\n"
	half := len(wire) / 2
	if _, s.err = s.conn.Write([]byte(wire[:half])); s.err == nil {
		_, s.err = s.conn.Write([]byte(wire[half:]))
	}
}
