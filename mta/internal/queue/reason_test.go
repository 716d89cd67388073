package queue

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestReasonOfAResult(t *testing.T) {
	peer := func(code int, enh, text string) mail.Result {
		return mail.Result{Code: code, Enh: enh, Text: text, Peer: true}
	}
	ours := func(code int, enh string, err error) mail.Result {
		return mail.Result{Code: code, Enh: enh, Err: err, Unreached: true}
	}
	refused := errors.New("connection refused")
	for _, tt := range []struct {
		name string
		r    mail.Result
		want Reason
	}{
		{"refused", ours(451, "4.4.1", refused), ReasonUnreachable},
		{"silent", ours(451, "4.4.1", context.DeadlineExceeded), ReasonTimeout},
		{"lost in DATA", mail.Result{Code: 451, Enh: "4.4.2", Err: refused, Strained: true}, ReasonUnreachable},
		{"no answer to the final dot", mail.Result{Code: 451, Enh: "4.4.2", Err: context.DeadlineExceeded, Unanswered: true}, ReasonTimeout},
		{"no DNS", ours(451, "4.4.3", refused), ReasonDNS},
		{"TLS", ours(454, "4.7.5", refused), ReasonTLS},
		{"a wrong password", ours(454, "4.7.0", refused), ReasonAuth},
		{"no connection left", ours(451, "4.4.5", refused), ReasonBusy},
		{"a stage", mail.Result{Code: 451, Enh: "4.7.0", Text: "later"}, ""},
		{"postgrey", peer(450, "4.2.0", "<bob@x.example>: Recipient address rejected: Greylisted, see http://x.example"), ReasonGreylisted},
		{"another greylist", peer(451, "4.7.1", "Please try again later"), ReasonGreylisted},
		{"a greylist that closes", peer(421, "4.7.0", "graylisted, come back in 1 second"), ReasonGreylisted},
		{"closing", peer(421, "4.3.2", "shutting down"), ReasonBusy},
		{"put off at MAIL", mail.Result{Code: 451, Enh: "4.3.0", Peer: true, Strained: true}, ReasonBusy},
		{"a full mailbox", peer(452, "4.2.2", "Mailbox full"), ReasonFull},
		{"a full disk", peer(452, "4.3.1", "Insufficient system storage"), ""},
		{"local error", peer(451, "4.3.0", "try again later"), ""},
		{"nothing", mail.Result{}, ""},
	} {
		if got := reasonOf(&tt.r); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestScheduleByReasonAndNextHop(t *testing.T) {
	q := &Queue{
		RetryOn:  map[Reason]Schedule{ReasonDNS: {First: 7 * time.Minute}},
		NextHops: []NextHop{{Pattern: "slow.example", Schedule: Schedule{First: time.Hour}}, {Pattern: "*.example", Concurrency: 3}},
	}
	q.setup()
	for _, tt := range []struct {
		lane string
		why  Reason
		want time.Duration
	}{
		{"a.example", "", DefaultFirst},
		{"a.example", ReasonUnreachable, DefaultFirst},
		{"a.example", ReasonDNS, 7 * time.Minute},
		{"a.example", ReasonGreylisted, 6 * time.Minute},
		{"slow.example", ReasonGreylisted, time.Hour},
		{"", ReasonFull, 30 * time.Minute},
	} {
		if got := q.scheduleOf(q.hopOf(tt.lane), tt.why).wait(1); got != tt.want {
			t.Errorf("%s, %s: first wait %v, want %v", tt.lane, tt.why, got, tt.want)
		}
	}
	// Whatever a greylist says, nobody comes back within five minutes.
	if shortest := jittered(DefaultRetryOn[ReasonGreylisted].wait(1), 0); shortest <= 5*time.Minute {
		t.Errorf("a greylist is asked again after %v", shortest)
	}
}

func TestWhichNextHopsAPatternIsAbout(t *testing.T) {
	for _, tt := range []struct {
		pattern, lane string
		want          bool
	}{
		{"crepes.fr", "crepes.fr", true},
		{"Crepes.FR", "crepes.fr", true},
		{"crepes.fr", "mx.crepes.fr", false},
		{"*.crepes.fr", "mx.crepes.fr", true},
		{"*.crepes.fr", "crepes.fr", false},
		{"*", "anything", true},
		{"mx.crepes.fr", "smtp://mx.crepes.fr:25", true},
		{"*.crepes.fr", "smtps://mx.crepes.fr:465", true},
		{"::1", "lmtp://[::1]:24", true},
		{"192.0.2.1", "smtp://192.0.2.1:2525", true},
		{"192.0.2.1", "[192.0.2.1]", false},
	} {
		if got := (&NextHop{Pattern: tt.pattern}).Matches(tt.lane); got != tt.want {
			t.Errorf("%s matches %s: %v", tt.pattern, tt.lane, got)
		}
	}
}

// What several recipients of one lane heard says of the next hop what the best of
// them says.
func TestVerdictOfResults(t *testing.T) {
	var (
		taken       = mail.Result{Outcome: mail.Relayed}
		refused     = mail.Result{Outcome: mail.Bounced, Peer: true, Code: 550}
		busy        = mail.Result{Outcome: mail.Deferred, Peer: true, Code: 421, Strained: true}
		away        = mail.Result{Outcome: mail.Deferred, Unreached: true}
		interrupted = mail.Result{Outcome: mail.Deferred}
		unknown     = mail.Result{Outcome: mail.Bounced, Unreached: true} // no such domain: no next hop is down
	)
	for _, tt := range []struct {
		name    string
		results []mail.Result
		want    verdict
	}{
		{"none", nil, unclear},
		{"taken", []mail.Result{taken}, through},
		{"refused for good", []mail.Result{refused}, through},
		{"busy", []mail.Result{busy}, strained},
		{"away", []mail.Result{away, away}, unreached},
		{"some taken", []mail.Result{busy, taken}, through},
		{"interrupted", []mail.Result{interrupted}, unclear},
		{"no such domain", []mail.Result{unknown}, unclear},
	} {
		if got, _ := judge(tt.results); got != tt.want {
			t.Errorf("%s: verdict %d, want %d", tt.name, got, tt.want)
		}
	}
}
