package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// TestRedisIsAwayBackAndEmptied starts a server without its Redis: it takes mail
// and delivers it, and hands over what is left once Redis comes. Then Redis loses
// everything, once under the running server and once while that is down, and the
// server puts it back each time.
func TestRedisIsAwayBackAndEmptied(t *testing.T) {
	r := redistest.New(t, redistest.Options{})
	do(t, r.Kill())
	next, down := startSink(t), freePorts(t, 1)[0] // nothing listens at down
	s := Start(t, plain(t, fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://127.0.0.1:%s\"}}\n"+
		"queue: {store: %q, retry: {first: 1h, factor: 2, max: 2h}}\n", down, r.URL())))
	s.Wait("Redis is away", func(e Event) bool { return e.Msg() == "queue store away" && e.Str("state") == "away" })
	c := smtpDial(t, s.Addr("smtp"))
	c.send("alice@crepes.fr", "bob@hamburger.edu", "delivered without Redis")
	inMailbox(t, s, 1)
	sendNumber(c, "1", "carol@relay.example")
	s.Wait("the next hop is down", func(e Event) bool { return e.Msg() == "deferred" })
	if n := counter(metricsOf(t, s), "mta_queue_store_spool_messages"); n != 1 {
		t.Errorf("the spool has %v messages, want 1", n)
	}

	do(t, r.Restart())
	s.Wait("Redis is back", func(e Event) bool { return e.Msg() == "queue store back" && e.Str("was") == "away" })
	await(t, "the spool to hand over", func() bool {
		return counter(metricsOf(t, s), "mta_queue_store_spool_messages") == 0
	})
	if n := counter(metricsOf(t, s), "mta_queue_store_handed_over_total"); n != 1 {
		t.Errorf("%v messages handed over, want 1", n)
	}

	flushAll(t, r)
	putBack(s)
	if out, errs, _ := s.Command("", "queue", "list"); !strings.Contains(out, "carol@relay.example") {
		t.Errorf("after FLUSHALL the queue is\n%s%s", out, errs)
	}
	s.Stop()
	flushAll(t, r)
	s.Up()
	putBack(s)
	out, errs, code := s.Command("", "queue", "reroute", "--all", "--via", "smtp://"+next.addr)
	if code != 0 || !strings.Contains(out, "1 rerouted") {
		t.Errorf("reroute: code %d\n%s%s", code, out, errs)
	}
	s.Wait("it is sent", func(e Event) bool { return e.Msg() == "relayed" })
	if got := next.counts(); len(got) != 1 || got["1 carol@relay.example"] != 1 {
		t.Errorf("the next hop took %v, want message 1 once", got)
	}
	inMailbox(t, s, 1)
}

// TestRedisThatWouldLoseMail is refused with the place and the cure, unless the
// file says that it may. Nothing the server says has the password.
func TestRedisThatWouldLoseMail(t *testing.T) {
	const password = "pass-word-of-redis"
	r := redistest.New(t, redistest.Options{Config: map[string]string{"appendonly": "no", "requirepass": password}})
	strict := plain(t, fmt.Sprintf("queue:\n  store: %q\n", r.URL()))
	s := Configure(t, strict)
	line := 1 + strings.Count(strict[:strings.Index(strict, "  store:")], "\n")
	place := fmt.Sprintf("pipeline.yaml:%d:10: queue.store: ", line)
	out, errs, code := s.Command("", "check")
	said := out + errs
	if code == 0 || !strings.Contains(said, place) || !strings.Contains(said, "appendonly yes") {
		t.Errorf("mta check: code %d, want %q and the cure\n%s", code, place, said)
	}
	s.launch()
	<-s.done
	if s.err == nil || !strings.Contains(s.Log(), place) || !strings.Contains(s.Log(), "appendonly yes") {
		t.Errorf("mta ended with %v, want %q and the cure\n%s", s.err, place, s.Log())
	}

	s.Rewrite(strict + "  durability: relaxed\n")
	s.Up()
	s.Wait("the warning", func(e Event) bool { return e.Msg() == "queue store can lose mail" })
	s.Wait("Redis is used", func(e Event) bool { return e.Msg() == "queue store back" })
	smtpDial(t, s.Addr("smtp")).send("alice@crepes.fr", "bob@hamburger.edu", "by Redis")
	inMailbox(t, s, 1)
	if n := counter(metricsOf(t, s), "mta_queue_store_puts_total", "to", "redis"); n != 1 {
		t.Errorf("%v messages put into Redis, want 1", n)
	}
	out, errs, code = s.Command("", "check")
	if said += out + errs; code != 0 {
		t.Errorf("mta check with durability relaxed: code %d\n%s%s", code, out, errs)
	}
	if strings.Contains(said+s.Log()+s.Stdout(), password) {
		t.Errorf("the password is in\n%s%s%s", said, s.Log(), s.Stdout())
	}
}

// TestThreeNodes share a queue: one dies in the middle of an attempt, one is
// paused in another for longer than its lease, and each message is taken by the
// next hop once.
func TestThreeNodes(t *testing.T) {
	r := redistest.New(t, redistest.Options{})
	next, down := startSink(t), freePorts(t, 1)[0]
	node := func(name string) *Server {
		return Configure(t, plain(t, fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {down.example: \"smtp://127.0.0.1:%s\", \"*\": \"smtp://%s\"}}\n"+
			"queue: {store: %q, node: %s, lease: 10s, retry: {first: 1h, factor: 2, max: 2h}}\n", down, next.addr, r.URL(), name)))
	}
	a, b, c := node("a"), node("b"), node("c")
	up := func(s *Server) {
		s.Up()
		s.Wait("Redis is used", func(e Event) bool { return e.Msg() == "queue store back" })
	}
	want := map[string]int{}
	send := func(s *Server, number string) {
		want[number+" carol@relay.example"] = 1
		sendNumber(smtpDial(t, s.Addr("smtp")), number, "carol@relay.example")
	}
	taken := func(number string) func() bool {
		return func() bool { return next.counts()[number+" carol@relay.example"] > 0 }
	}

	up(a)
	killed := next.hold("killed")
	defer close(killed)
	send(a, "killed")
	await(t, "the attempt of a", func() bool { return next.holds("killed") })
	up(b)
	up(c)
	a.Kill()
	await(t, "another to take over from the one that was killed", taken("killed"))

	up(a)
	for i, s := range []*Server{a, b, c, a, b, c, a, b, c} {
		send(s, fmt.Sprint(i))
	}
	for i := range 9 {
		await(t, "all messages", taken(fmt.Sprint(i)))
	}
	paused := next.hold("paused")
	send(b, "paused")
	await(t, "the attempt of b", func() bool { return next.holds("paused") })
	b.Signal(syscall.SIGSTOP)
	await(t, "another to take over from the one that is paused", taken("paused"))
	b.Signal(syscall.SIGCONT)
	close(paused)
	b.Wait("its outcome comes too late", func(e Event) bool { return e.Msg() == "lease lost" })

	smtpDial(t, b.Addr("smtp")).send("alice@crepes.fr", "dave@down.example", "stays")
	sameQueue(t, a, b, c)
	if got := next.counts(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the next hop took\n%v, want\n%v", got, want)
	}
}

// TestNodesShareALimit wants what the file says of a next hop to be said of all
// nodes together: what one of them spent, another does not have.
func TestNodesShareALimit(t *testing.T) {
	r, next := redistest.New(t, redistest.Options{}), startSink(t)
	node := func(name string) *Server {
		s := Configure(t, plain(t, fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://%s\"}}\n"+
			"queue: {store: %q, node: %s, next_hops: {\"*\": {rate: 1/1h}}}\n", next.addr, r.URL(), name)))
		s.Up()
		s.Wait("Redis is used", func(e Event) bool { return e.Msg() == "queue store back" })
		return s
	}
	a, b := node("a"), node("b")
	sendNumber(smtpDial(t, a.Addr("smtp")), "1", "carol@relay.example")
	await(t, "the message of a", func() bool { return len(next.counts()) == 1 })
	sendNumber(smtpDial(t, b.Addr("smtp")), "2", "carol@relay.example")
	await(t, "b to know when it may send", func() bool {
		out, errs, code := b.Command("", "queue", "lanes", "--json")
		if code != 0 {
			t.Fatalf("mta queue lanes: code %d\n%s", code, errs)
		}
		return strings.Contains(out, `"until":`) || len(next.counts()) > 1
	})
	if got := next.counts(); len(got) != 1 {
		t.Errorf("of one message an hour the next hop took %v", got)
	}
}

// TestFlushAtOneNode has a next hop tried again that two nodes know to be down.
func TestFlushAtOneNode(t *testing.T) {
	r, port := redistest.New(t, redistest.Options{}), freePorts(t, 1)[0]
	node := func(name string) *Server {
		s := Configure(t, plain(t, fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://127.0.0.1:%s\"}}\n"+
			"queue: {store: %q, node: %s}\n", port, r.URL(), name)))
		s.Up()
		s.Wait("Redis is used", func(e Event) bool { return e.Msg() == "queue store back" })
		return s
	}
	nodes := []*Server{node("a"), node("b")}
	for i, s := range nodes {
		for n := range 20 { // so that each has some in its shards
			sendNumber(smtpDial(t, s.Addr("smtp")), fmt.Sprint(20*i+n), "carol@relay.example")
		}
	}
	for _, s := range nodes {
		await(t, "the next hop to be down", func() bool {
			out, errs, code := s.Command("", "queue", "lanes", "--json")
			if code != 0 {
				t.Fatalf("mta queue lanes: code %d\n%s", code, errs)
			}
			return strings.Contains(out, `"down"`)
		})
	}
	next := startSinkAt(t, "127.0.0.1:"+port)
	if _, errs, code := nodes[1].Command("", "queue", "flush"); code != 0 {
		t.Fatalf("mta queue flush: code %d\n%s", code, errs)
	}
	nodes[0].Wait("the other node to hear of it", func(e Event) bool { return e.Msg() == "next hop tried again" })
	await(t, "all 40 messages", func() bool { return len(next.counts()) == 40 })
}

// sameQueue waits until nodes have nothing left but a message to down.example, and
// compares how they list it.
func sameQueue(t *testing.T, nodes ...*Server) {
	t.Helper()
	lists := map[string]bool{}
	for _, s := range nodes {
		await(t, "the node to list one message", func() bool {
			out, errs, code := s.Command("", "queue", "list", "--json")
			if code != 0 {
				t.Fatalf("mta queue list: code %d\n%s", code, errs)
			}
			one := strings.Count(out, "\n") == 1 && strings.Contains(out, "dave@down.example") && strings.Contains(out, "connection refused")
			if one {
				lists[out] = true
			}
			return one
		})
	}
	if len(lists) != 1 {
		t.Errorf("the nodes list different queues: %v", lists)
	}
}

// TestMoveToRedisAndBack moves a message from the spool into Redis, and from
// there into the spool again, from which it is sent.
func TestMoveToRedisAndBack(t *testing.T) {
	r := redistest.New(t, redistest.Options{})
	next, down := startSink(t), freePorts(t, 1)[0]
	with := func(store string) string {
		return plain(t, fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://127.0.0.1:%s\"}}\nqueue: {store: %q}\n", down, store))
	}
	s := Start(t, with("spool"))
	sendNumber(smtpDial(t, s.Addr("smtp")), "1", "carol@relay.example")
	s.Wait("the next hop is down", func(e Event) bool { return e.Msg() == "deferred" })
	move := func(from, to string) {
		t.Helper()
		if out, errs, code := s.Command("", "queue", "move", "--from", from); code == 0 {
			t.Errorf("a queue is moved under a running server\n%s%s", out, errs)
		}
		s.Stop()
		s.Rewrite(with(to))
		out, errs, code := s.Command("", "queue", "move", "--from", from)
		if code != 0 || !strings.Contains(out+errs, "1 moved") {
			t.Fatalf("mta queue move --from %s: code %d\n%s%s", from, code, out, errs)
		}
		s.Up()
		if to != "spool" {
			s.Wait("Redis is used", func(e Event) bool { return e.Msg() == "queue store back" })
		}
		out, errs, _ = s.Command("", "queue", "list")
		if strings.Count(out, "carol@relay.example") != 1 {
			t.Errorf("after a move from %s the queue is\n%s%s", from, out, errs)
		}
	}
	move("spool", r.URL())
	if n := counter(metricsOf(t, s), "mta_queue_store_spool_messages"); n != 0 {
		t.Errorf("the spool has %v messages after the move, want 0", n)
	}
	move(r.URL(), "spool")
	if out, errs, code := s.Command("", "queue", "reroute", "--all", "--via", "smtp://"+next.addr); code != 0 {
		t.Errorf("reroute: code %d\n%s%s", code, out, errs)
	}
	s.Wait("it is sent", func(e Event) bool { return e.Msg() == "relayed" })
	if got := next.counts(); len(got) != 1 || got["1 carol@relay.example"] != 1 {
		t.Errorf("the next hop took %v, want message 1 once", got)
	}
}

// sendNumber sends a message that the sink counts.
func sendNumber(c *smtpClient, number, to string) {
	c.t.Helper()
	c.say(250, "MAIL FROM:<alice@crepes.fr>")
	c.say(250, "RCPT TO:<%s>", to)
	c.say(354, "DATA")
	c.say(250, "From: alice@crepes.fr\r\nX-Number: %s\r\nSubject: numbered\r\n\r\nHow about pickles?\r\n.", number)
}

func flushAll(t *testing.T, r *redistest.Server) {
	t.Helper()
	_, err := r.Do("FLUSHALL")
	do(t, err)
}

// putBack waits until s put back the one message that Redis lost.
func putBack(s *Server) {
	s.t.Helper()
	s.Wait("it is put back", func(e Event) bool { return e.Msg() == "put back" && e.Str("messages") == "1" })
	s.Wait("Redis is used again", func(e Event) bool { return e.Msg() == "queue store back" && e.Str("was") == "emptied" })
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
