package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// TestOrdersToARunningServer gives every order to a server with real mail whose
// next hop is down, by the command line, over the socket and by HTTP with a token.
func TestOrdersToARunningServer(t *testing.T) {
	t.Run("spool", func(t *testing.T) { giveOrders(t, "spool") })
	t.Run("Redis", func(t *testing.T) { giveOrders(t, redistest.New(t, redistest.Options{}).URL()) })
}

func giveOrders(t *testing.T, store string) {
	t.Helper()
	down := freePorts(t, 1)[0] // nothing listens there
	elsewhere := startSink(t)
	s := Start(t, plain(t, fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://127.0.0.1:%s\"}}\n", down)+
		"queue: {store: \""+store+"\"}\nadmin: {tokens: {alice: \"sha256:"+tokenHash+"\"}}\n"))
	order := func(want string, args ...string) {
		t.Helper()
		out, errs, code := s.Command("", append([]string{"queue"}, args...)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: code %d, want %q\n%s%s", strings.Join(args, " "), code, want, out, errs)
		}
	}
	c := smtpDial(t, s.Addr("smtp"))
	for _, to := range []string{"a@one.example", "b@two.example", "c@three.example", "d@four.example"} {
		c.send("bob@hamburger.edu", to, "to "+to)
	}
	s.Wait("the next hop is down", func(e Event) bool { return e.Msg() == "next hop down" })

	order("down", "lanes")
	order("connection refused", "stats", "--by", "reason")
	order("1 held", "hold", "--domain", "one.example", "--because", "a moment")
	order("a moment", "list", "--state", "held")
	order("1 released", "release", "--reason", "a moment")
	order("1 returned", "bounce", "--domain", "two.example", "--because", "no such company")
	inMailbox(t, s, 1) // the DSN
	if dsn := string(popRetrieve(t, s.Addr("pop3"), "bob@hamburger.edu", 1)); !strings.Contains(dsn, "no such company") || !strings.Contains(dsn, "Final-Recipient: rfc822; b@two.example") {
		t.Errorf("the sender reads\n%s", dsn)
	}
	order("1 dropped", "drop", "--domain", "three.example")
	order("d@four.example", "reroute", "--domain", "four.example", "--via", "smtp://"+elsewhere.addr, "--dry-run")
	order("1 rerouted", "reroute", "--domain", "four.example", "--via", "smtp://"+elsewhere.addr)
	s.Wait("it went another way", func(e Event) bool { return e.Msg() == "relayed" && e.Str("rcpt") == "d@four.example" })

	order("rule lawyer is in force", "rule", "add", "lawyer", "--domain", "five.example")
	order("nothing goes to f@six.example", "suppress", "add", "f@six.example")
	c.send("bob@hamburger.edu", "e@five.example", "held at once")
	c.send("bob@hamburger.edu", "f@six.example", "returned at once")
	order("1 held", "hold", "--domain", "one.example")
	s.Wait("it is not sent", func(e Event) bool { return e.Msg() == "bounced" && e.Str("rcpt") == "f@six.example" })
	order("hold rule lawyer", "list", "--domain", "five.example")

	s.Stop() // rules and suppressions outlive it
	s.Up()
	order("lawyer", "rule", "list")
	order("f@six.example", "suppress", "list")
	order("rule lawyer is removed\n1 released", "rule", "remove", "lawyer", "--release")
	order("due now", "flush")

	out, errs, code := s.Command("", "queue", "--server", "http://"+s.Addr("http"), "list")
	if code != 2 || !strings.Contains(errs, "MTA_TOKEN") {
		t.Errorf("without a token: code %d\n%s%s", code, out, errs)
	}
	remote := exec.Command(s.cmd.Path, "queue", "--server", "http://"+s.Addr("http"), "drop", "--all")
	remote.Env = append(os.Environ(), "MTA_TOKEN=long secret")
	if out, err := remote.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), " dropped\n") {
		t.Errorf("with a token: %v\n%s", err, out)
	}
	who := map[string]bool{}
	for _, e := range s.Events() {
		if e.Msg() == "operated" {
			who[e.Str("who")] = true
		}
	}
	if !who["token alice"] || len(who) != 2 {
		t.Errorf("the log says who did it: %v", who)
	}
}

// tokenHash is that of "long secret".
const tokenHash = "be0e8fd297b8f2a86dc7a864e0f69653d4f32fc4e138ec4ca06a934aef4cbee6"
