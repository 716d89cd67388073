package fault

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// story tells a ledger one thing after the other. Times are seconds.
type story struct {
	*Ledger
	start   time.Time
	content map[string][]byte
}

func newStory() *story { return &story{newLedger(), time.Now(), map[string][]byte{}} }

func (s *story) at(seconds float64) time.Time {
	return s.start.Add(time.Duration(seconds * float64(time.Second)))
}

func (s *story) sends(token string, rcpts ...string) {
	s.content[token] = compose(rand.New(rand.NewPCG(1, 1)), token, rcpts, 1000)
	s.send(token, rcpts, s.content[token])
}

func (s *story) accepts(token string, rcpts ...string) {
	s.sends(token, rcpts...)
	s.answered(token, 250, "2.0.0 queued as ID-"+token)
}

func (s *story) arrives(token, rcpt string, seconds float64, seen bool) {
	a := arrival{node: "n0", begin: s.at(seconds), end: s.at(seconds), seen: seen}
	s.arrived(a, []string{rcpt}, append([]byte("Received: from somewhere\r\n"), s.content[token]...))
}

func (s *story) bounces(id, token, rcpt string, seconds float64) {
	dsn := "Message-ID: <" + id + ">\r\n\r\nFinal-Recipient: rfc822; " + rcpt + "\r\nAction: failed\r\n\r\n" + string(s.content[token])
	s.notified(arrival{node: "n0", begin: s.at(seconds), end: s.at(seconds), seen: true}, []byte(dsn))
}

// TestVerdict tells stories whose judgement is known.
func TestVerdict(t *testing.T) {
	const bob, eve = "bob@x.test", "eve@x.test"
	for _, tt := range []struct {
		name  string
		tell  func(s *story, q queued)
		want  Result   // only the counts
		found []string // kinds of violations
	}{
		{"all is well", func(s *story, q queued) {
			s.accepts("a", bob, eve)
			s.arrives("a", bob, 1, true)
			s.bounces("1", "a", eve, 1)
		}, Result{Accepted: 1, Recipients: 2, Relayed: 1, Bounced: 1}, nil},
		{"one recipient is lost", func(s *story, q queued) {
			s.accepts("a", bob, eve)
			s.arrives("a", bob, 1, true)
		}, Result{Accepted: 1, Recipients: 2, Relayed: 1}, []string{"lost"}},
		{"still in the queue", func(s *story, q queued) {
			s.accepts("a", bob, eve)
			q.rcpts[target{"a", bob}] = true
			q.rcpts[target{"a", eve}] = false
		}, Result{Accepted: 1, Recipients: 2, Held: 1, Queued: 1}, nil},
		{"its DSN is still in the queue", func(s *story, q queued) {
			s.accepts("a", bob)
			q.dsns[target{"a", bob}] = true
		}, Result{Accepted: 1, Recipients: 1, Queued: 1}, nil},
		{"twice, and nobody died", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, true)
			s.arrives("a", bob, 5, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"twice, since the first reply was not written", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, false)
			s.arrives("a", bob, 5, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Unseen: 1}}, nil},
		{"three times, one of them without excuse", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, false)
			s.arrives("a", bob, 5, true)
			s.arrives("a", bob, 9, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Unseen: 1, Never: 1}}, []string{"doubled"}},
		{"twice, since the node was killed at once", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, true)
			s.lapse("n0", s.at(1.01), s.at(1.01))
			s.arrives("a", bob, 5, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Died: 1}}, nil},
		{"twice, and the node was killed long after", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, true)
			s.arrives("a", bob, 5, true)
			s.lapse("n0", s.at(1).Add(2*grace), s.at(1).Add(2*grace))
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"twice, since the attempt at another recipient was under way when the node was killed", func(s *story, q queued) {
			s.hanging["slow.test"] = true
			s.accepts("a", bob, "kim@slow.test")
			s.arrives("a", bob, 1, true)
			s.lapse("n0", s.at(2.3), s.at(2.3))
			s.arrives("a", bob, 5, true)
			s.arrives("a", "kim@slow.test", 5, true)
		}, Result{Accepted: 1, Recipients: 2, Relayed: 2, Doubled: Doubled{Open: 1}}, nil},
		{"twice, and the attempt was over long before the node was killed", func(s *story, q queued) {
			s.hanging["slow.test"] = true
			s.accepts("a", bob, "kim@slow.test")
			s.arrives("a", bob, 1, true)
			s.lapse("n0", s.at(2.6), s.at(2.6))
			s.arrives("a", bob, 12, true)
			s.arrives("a", "kim@slow.test", 12, true)
		}, Result{Accepted: 1, Recipients: 2, Relayed: 2, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"twice, and another node was killed", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, true)
			s.lapse("n1", s.at(1), s.at(1))
			s.arrives("a", bob, 5, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"twice, and only the second could be excused", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, true)
			s.arrives("a", bob, 5, false)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"twice, since a node stood still and went on where it was", func(s *story, q queued) {
			s.accepts("a", bob)
			s.lapse("n0", s.at(0), s.at(7))
			s.arrived(arrival{node: "n1", begin: s.at(4), end: s.at(5), seen: true}, []string{bob}, s.content["a"])
			s.arrives("a", bob, 7.5, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Died: 1}}, nil},
		{"twice, long after a node stood still", func(s *story, q queued) {
			s.accepts("a", bob)
			s.lapse("n0", s.at(0), s.at(1))
			s.arrived(arrival{node: "n1", begin: s.at(4), end: s.at(5), seen: true}, []string{bob}, s.content["a"])
			s.arrives("a", bob, 7.5, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"one DSN twice", func(s *story, q queued) {
			s.accepts("a", bob)
			s.bounces("1", "a", bob, 1)
			s.bounces("1", "a", bob, 5)
		}, Result{Accepted: 1, Recipients: 1, Bounced: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"two DSNs", func(s *story, q queued) {
			s.accepts("a", bob)
			s.bounces("1", "a", bob, 1)
			s.bounces("2", "a", bob, 5)
		}, Result{Accepted: 1, Recipients: 1, Bounced: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"two DSNs, and that the node died in between is no excuse", func(s *story, q queued) {
			s.accepts("a", bob)
			s.bounces("1", "a", bob, 3)
			s.lapse("n0", s.at(2), s.at(2))
			s.bounces("2", "a", bob, 5)
		}, Result{Accepted: 1, Recipients: 1, Bounced: 1, Doubled: Doubled{Never: 1}}, []string{"doubled"}},
		{"delivered and reported as failed", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, true)
			s.bounces("1", "a", bob, 5)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1}, []string{"both"}},
		{"taken without a reply, and reported as failed", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", bob, 1, false)
			s.bounces("1", "a", bob, 5)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1}, nil},
		{"no answer: may arrive or not", func(s *story, q queued) {
			s.sends("a", bob)
			s.sends("b", bob)
			s.arrives("b", bob, 1, true)
		}, Result{Unanswered: 2, Kept: 1}, nil},
		{"refused, and arrived all the same", func(s *story, q queued) {
			s.sends("a", bob)
			s.answered("a", 451, "no")
			s.arrives("a", bob, 1, true)
		}, Result{}, []string{"refused, and kept all the same"}},
		{"refused by a disk that was broken, and arrived all the same", func(s *story, q queued) {
			s.sends("a", bob)
			s.noDisk("n0", time.Now().Add(-time.Second), time.Now().Add(time.Second))
			s.answered("a", 451, "no")
			s.arrives("a", bob, 1, true)
		}, Result{}, nil},
		{"somebody else's mail", func(s *story, q queued) {
			s.accepts("a", bob)
			s.arrives("a", eve, 1, true)
			s.arrives("a", bob, 1, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1}, []string{"strayed"}},
		{"an octet is wrong", func(s *story, q queued) {
			s.accepts("a", bob)
			s.content["a"] = append([]byte(nil), s.content["a"]...)
			s.content["a"][500] ^= 1
			s.arrives("a", bob, 1, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1}, []string{"damaged"}},
		{"cut short", func(s *story, q queued) {
			s.accepts("a", bob)
			s.content["a"] = s.content["a"][:500]
			s.arrives("a", bob, 1, true)
		}, Result{Accepted: 1, Recipients: 1, Relayed: 1}, []string{"damaged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, q := newStory(), queued{rcpts: map[target]bool{}, dsns: map[target]bool{}}
			tt.tell(s, q)
			got := &Result{}
			s.settle(got, q)
			var kinds []string
			for _, v := range got.Violations {
				kind, _, _ := strings.Cut(v, ":")
				kinds = append(kinds, kind)
			}
			if !slices.Equal(kinds, tt.found) {
				t.Errorf("violations %q, want %q", got.Violations, tt.found)
			}
			got.Violations, got.Refused, got.LongestGap = nil, nil, ""
			if g, w := got.row(), tt.want.row(); g != w || got.Doubled != tt.want.Doubled {
				t.Errorf("counts\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func TestNoticeIsRead(t *testing.T) {
	s := newStory()
	s.accepts("a", "bob@x.test", "eve@x.test", "kim@x.test")
	n, ok := readNotice([]byte("Message-ID: <1@x>\r\n\r\nReporting-MTA: dns; x\r\n\r\n" +
		"Final-Recipient: rfc822; bob@x.test\r\nAction: failed\r\n\r\n" +
		"Final-Recipient: rfc822;eve@x.test\r\nAction: delayed\r\n\r\n" +
		"Original-Recipient: rfc822;k@x.test\r\nFinal-Recipient: rfc822; kim@x.test\r\nAction: Failed\r\n\r\n" + string(s.content["a"])))
	if !ok || n.id != "<1@x>" || n.token != "a" || !slices.Equal(n.failed, []string{"bob@x.test", "kim@x.test"}) {
		t.Errorf("got %+v, %v", n, ok)
	}
	n, ok = readNotice([]byte("Message-ID: <1@x>\r\n\r\nOriginal-Envelope-Id: b\r\n\r\nFinal-Recipient: rfc822; bob@x.test\r\nAction: failed\r\n"))
	if !ok || n.token != "b" {
		t.Errorf("without the message: got %+v, %v", n, ok)
	}
	if _, ok := readNotice(s.content["a"]); ok {
		t.Error("a message is taken for a DSN")
	}
}
