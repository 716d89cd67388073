package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestQueueOfARunningServer looks into the queue and changes it, as an operator
// does whose next hop is down.
func TestQueueOfARunningServer(t *testing.T) {
	down := freePorts(t, 1)[0] // nothing listens there
	s := Start(t, strings.Replace(hamburger(fmt.Sprintf("relay: {allow: [127.0.0.0/8], routes: {\"*\": \"smtp://127.0.0.1:%s\"}}\n", down)),
		"config: {rules: []}", `config: {rules: [{if: {header: {Subject: "*lottery*"}}, quarantine: smells of a lottery}]}`, 1))
	c := smtpDial(t, s.Addr("smtp"))
	c.send("alice@crepes.fr", "carol@relay.example", "one")
	c.send("erin@pizza.it", "dave@other.example", "two")
	c.send("alice@crepes.fr", "bob@hamburger.edu", "you won the lottery")
	s.times("deferred", 2)

	list := func(args ...string) (messages []map[string]any) {
		t.Helper()
		out, errs, code := s.Command("", append([]string{"queue", "list", "--json"}, args...)...)
		if code != 0 {
			t.Fatalf("list %v: code %d\n%s", args, code, errs)
		}
		for line := range strings.Lines(out) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			messages = append(messages, m)
		}
		return messages
	}
	for _, test := range []struct {
		args string
		want int
	}{
		{"", 3}, {"--from alice@*", 2}, {"--to dave@other.example", 1}, {"--domain relay.example", 1}, {"--state held", 1},
		{"--state waiting", 2}, {"--reason lottery", 1}, {"--reason refused", 2}, {"--older 1h", 0}, {"--older 0s --limit 2", 2},
	} {
		if got := list(strings.Fields(test.args)...); len(got) != test.want {
			t.Errorf("list %s: %d messages, want %d: %v", test.args, len(got), test.want, got)
		}
	}
	if out, _, code := s.Command("", "queue", "list"); code != 0 || !strings.HasPrefix(out, "ID ") || strings.Count(out, "\n") != 4 || !strings.Contains(out, "smells of a lottery") {
		t.Errorf("the table: code %d\n%s", code, out)
	}

	held := list("--state", "held")[0]["queue_id"].(string)
	if out, _, code := s.Command("", "queue", "show", held); code != 0 || !strings.Contains(out, "held because  smells of a lottery") {
		t.Errorf("show: code %d\n%s", code, out)
	}
	out, _, code := s.Command("", "queue", "cat", strings.ToLower(held))
	if code != 0 || !strings.HasPrefix(out, "Received: from client.example") || !strings.Contains(out, "\r\n\r\nHow about pickles?\r\n") {
		t.Errorf("cat: code %d\n%s", code, out)
	}
	if out, _, code := s.Command("", "queue", "retry", held); code != 0 || out != "1 due now\n" {
		t.Errorf("retry: code %d\n%s", code, out)
	}
	s.times("delivered", 1) // retry releases
	inMailbox(t, s, 1)
	if out, _, code := s.Command("", "queue", "drop", "--domain", "relay.example"); code != 0 || out != "1 dropped\n" {
		t.Errorf("drop: code %d\n%s", code, out)
	}
	if got := list(); len(got) != 1 {
		t.Errorf("%d messages are left, want 1", len(got))
	}
	if _, errs, code := s.Command("", "queue", "show", held); code != 1 || errs != "mta: "+held+": not in the queue\n" {
		t.Errorf("show what is gone: code %d: %s", code, errs)
	}
	if _, errs, code := s.Command("", "queue", "drop"); code != 2 || !strings.Contains(errs, "--all") {
		t.Errorf("drop nothing: code %d: %s", code, errs)
	}
	s.Stop()
	if _, errs, code := s.Command("", "queue", "list"); code != 1 || !strings.HasPrefix(errs, "mta: no server is running on state "+s.Dir) || strings.Count(errs, "\n") != 1 {
		t.Errorf("without a server: code %d: %s", code, errs)
	}
}

// TestASecondServerIsRefused starts one on the state folder of another.
func TestASecondServerIsRefused(t *testing.T) {
	s := Start(t, plain(t, ""))
	out, errs, code := s.Command("", "serve")
	if code != 1 || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "is running") {
		t.Errorf("code %d\n%s%s", code, out, errs)
	}
	if out, errs, code := s.Command("", "check"); code != 0 {
		t.Errorf("check beside the running server: code %d\n%s%s", code, out, errs)
	}
}
