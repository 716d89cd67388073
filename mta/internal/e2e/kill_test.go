package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// TestKilledAtAnyMoment sends numbered messages over several sessions, kills
// the server at random moments (SIGKILL), starts it again, and finds every
// message that was answered 250 at least once in the mailbox and at the relay's
// next hop. A plugin gives the latter a content of its own, so each message is
// two entries of the queue: never one without the other. A stage that is asked
// after the queue adds a field: each message has it once, whatever was under way
// when the server died.
func TestKilledAtAnyMoment(t *testing.T) {
	kills, sessions := 8, 6
	if testing.Short() {
		kills = 2
	}
	testpeer.NeedCompiler(t, "c")
	next := startSink(t)
	s := Start(t, dividing(fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://%s\"}}\nqueue: {retry: {first: 1s, factor: 2, max: 2s}}\n", next.addr)))

	var number atomic.Int64
	var acked sync.Map // number: true
	var ackCount atomic.Int64
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	for round := range kills + 1 {
		stop := make(chan struct{})
		var wg sync.WaitGroup
		addr := s.Addr("smtp")
		for range sessions {
			wg.Go(func() { sendNumbered(addr, stop, &number, &acked, &ackCount) })
		}
		// The moment: after a number of acknowledgements, and then some
		// microseconds, so that it falls anywhere between two of them.
		target := ackCount.Load() + 20 + random.Int64N(150)
		await(t, "acknowledgements", func() bool { return ackCount.Load() >= target })
		time.Sleep(time.Duration(random.Int64N(int64(4 * time.Millisecond))))
		if round < kills {
			s.Kill()
			close(stop)
			wg.Wait()
			s.Up()
			continue
		}
		close(stop)
		wg.Wait()
	}

	want := map[string]bool{}
	acked.Range(func(n, _ any) bool {
		want[n.(string)] = true
		return true
	})
	t.Logf("%d messages answered 250 over %d kills", len(want), kills)
	await(t, "every message in the mailbox and at the next hop", func() bool {
		return len(missing(want, inMaildir(t, s), next.counts())) == 0
	})
	await(t, "both parts of messages that were stored and not answered", func() bool {
		return len(inMaildir(t, s)) == len(next.counts())
	})
	mailbox, relayed := inMaildir(t, s), next.counts()
	for n := range mailbox {
		want[n] = true
	}
	for n := range relayed {
		n, _, _ = strings.Cut(n, " ")
		want[n] = true
	}
	for _, m := range missing(want, mailbox, relayed) {
		t.Errorf("lost: %s", m)
	}
	t.Logf("doubled: %d of %d in the mailbox, %d of %d at the next hop", doubled(mailbox), len(mailbox), doubled(relayed), len(relayed))
	if out, errs, code := s.Command("", "queue", "list", "--json"); code != 0 {
		t.Errorf("mta queue list: code %d\n%s%s", code, out, errs)
	}
}

// dividing is hamburger with the plugin of inbound as its first stage, and one
// that is asked after the queue.
func dividing(extra string) string {
	yaml := strings.Replace(hamburger(extra), "\nplugins:\n", "\nplugins:\n  inbound: ROOT/mta/internal/e2e/testdata/inbound\n", 1)
	return strings.Replace(yaml, "\npipeline:\n", "\npipeline:\n  - plugin: inbound\n    grant: [headers, body, envelope, send]\n"+
		"  - plugin: stamp\n    name: later\n    after: queue\n    config: {add: {X-Later: once}}\n", 1)
}

// sendNumbered sends messages on one session until it breaks or stop closes.
func sendNumbered(addr string, stop <-chan struct{}, number *atomic.Int64, acked *sync.Map, count *atomic.Int64) {
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer c.Close()
	say := func(code int, format string, args ...any) bool {
		if format != "" && c.PrintfLine(format, args...) != nil {
			return false
		}
		_, _, err := c.ReadResponse(code)
		return err == nil
	}
	if !say(220, "") || !say(250, "EHLO client.example") {
		return
	}
	for {
		select {
		case <-stop:
			say(221, "QUIT")
			return
		default:
		}
		n := fmt.Sprint(number.Add(1))
		body := "line\r\n"
		if len(n)%2 == 0 { // some too large for the index of the spool
			body = strings.Repeat("a longer line of this message\r\n", 6000)
		}
		ok := say(250, "MAIL FROM:<alice@crepes.fr>") && say(250, "RCPT TO:<bob@hamburger.edu>") &&
			say(250, "RCPT TO:<carol@relay.example>") && say(354, "DATA") &&
			say(250, "From: alice@crepes.fr\r\nX-Number: %s\r\nSubject: numbered\r\n\r\n%s.", n, body)
		if !ok {
			return
		}
		acked.Store(n, true)
		count.Add(1)
	}
}

// inMaildir counts bob's messages by number.
func inMaildir(t testing.TB, s *Server) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, sub := range []string{"new", "cur"} {
		files, err := filepath.Glob(filepath.Join(s.Dir, "var/mail/bob@hamburger.edu", sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				continue // moved from new to cur meanwhile; the next look finds it
			}
			counts[numberOf(string(content))]++
			if n := strings.Count(string(content), "X-Later: once\r\n"); n != 1 {
				t.Errorf("the stage after the queue left its field %d times in %s", n, file)
			}
		}
	}
	return counts
}

func missing(want map[string]bool, mailbox, relayed map[string]int) []string {
	var lost []string
	for n := range want {
		if mailbox[n] == 0 {
			lost = append(lost, n+" in the mailbox")
		}
		if relayed[n+" carol@relay.example"] == 0 {
			lost = append(lost, n+" at the next hop")
		}
	}
	return lost
}

func doubled(counts map[string]int) (n int) {
	for _, c := range counts {
		if c > 1 {
			n++
		}
	}
	return n
}

// await waits until done says so; it fails the test if that takes too long.
func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Errorf("waited %v for %s", patience, what)
			return
		}
		time.Sleep(5 * time.Millisecond) // between two looks; nothing is concluded from it
	}
}
