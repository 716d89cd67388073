package smtpd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

// A wordy guest answers what the client asks it for: at each hook it looks for
// the hook's name, a dash and an answer in what the client said last, such as
// EHLO helo-reject.example, or RCPT TO:<bob+rcpt-defer@hamburger.edu>. What it
// is to say of the connection and of AUTH is in the map.
type wordy map[string]string

var answers = map[string]mail.Answer{
	"accept":     {Verdict: mail.Accept},
	"reject":     {Verdict: mail.Reject},
	"words":      {Verdict: mail.Reject, Code: 552, Enh: "5.2.3", Text: "Not with that hat"},
	"defer":      {Verdict: mail.Defer},
	"later":      {Verdict: mail.Defer, Code: 452, Enh: "4.2.2", Text: "Come back tomorrow"},
	"discard":    {Verdict: mail.Discard},
	"quarantine": {Verdict: mail.Quarantine, Reason: "odd"},
	"disconnect": {Verdict: mail.Disconnect},
}

func (w wordy) Handle(_ context.Context, hook string, tx *mail.Transaction) (mail.Answer, error) {
	name := strings.TrimPrefix(hook, "on_")
	said := map[string]string{
		"connect": name + "-" + w[name], "auth": name + "-" + w[name],
		"helo": tx.Client.Helo,
		"mail": tx.Envelope.ReversePath.Local, "data": tx.Envelope.ReversePath.Local, "message": tx.Envelope.ReversePath.Local,
	}[name]
	if n := len(tx.Envelope.Recipients); hook == mail.HookRcpt {
		_, said, _ = strings.Cut(tx.Envelope.Recipients[n-1].Path.Local, "+")
	}
	word, _ := strings.CutPrefix(said, name+"-")
	word, _, _ = strings.Cut(word, ".")
	if word == "fail" {
		return mail.Answer{}, errors.New("trapped: secret")
	}
	if hook == mail.HookMessage {
		refuseSome(tx)
	}
	return answers[word], nil
}

// refuseSome refuses at the end those whose address asks for it.
func refuseSome(tx *mail.Transaction) {
	for i := range tx.Envelope.Recipients {
		r := &tx.Envelope.Recipients[i]
		switch _, word, _ := strings.Cut(r.Path.Local, "+"); word {
		case "message-reject":
			r.Refused = &mail.Refusal{Code: 550, Enh: "5.7.1", Text: "Not for this one"}
		case "message-defer":
			r.Refused = &mail.Refusal{Code: 452, Enh: "4.2.2", Text: "Mailbox full"}
		}
	}
}

var everyHook = []string{
	mail.HookConnect, mail.HookHelo, mail.HookAuth, mail.HookMail, mail.HookRcpt, mail.HookData, mail.HookMessage, mail.HookDisconnect,
}

// hooked has a pipeline of one stage that is asked at every hook.
func hooked(w wordy) func(*Server) {
	return func(srv *Server) {
		srv.Policy = &pipeline.Pipeline{Stages: []pipeline.Stage{{Name: "wordy", Guest: w, Hooks: everyHook}}}
	}
}

// A diary is a guest that continues, and writes down what it is asked.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) Handle(_ context.Context, hook string, tx *mail.Transaction) (mail.Answer, error) {
	line := hook + " " + tx.Client.Helo + " " + tx.SessionNotes["n"] + tx.Notes["n"]
	for _, r := range tx.Envelope.Recipients {
		line += " " + r.Path.Local
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
	if hook == mail.HookConnect || hook == mail.HookHelo {
		tx.SessionNotes = map[string]string{"n": tx.SessionNotes["n"] + "s"}
	} else {
		tx.Notes = map[string]string{"n": tx.Notes["n"] + "t"}
	}
	if hook == mail.HookRcpt && tx.Envelope.Recipients[len(tx.Envelope.Recipients)-1].Path.Local == "list1" {
		return mail.Answer{Verdict: mail.Reject}, nil
	}
	return mail.Answer{}, nil
}

// TestWhatHooksSee holds the order of hooks, which notes live how long, and
// that a recipient that was refused is not seen again.
func TestWhatHooksSee(t *testing.T) {
	srv, q := newServer(t)
	d := &diary{}
	srv.Policy = &pipeline.Pipeline{Stages: []pipeline.Stage{{Name: "diary", Guest: d, Hooks: everyHook}}}
	addr := serve(t, srv)
	say(t, addr, "EHLO a.example\r\n"+
		"MAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nRCPT TO:<list1@hamburger.edu>\r\n"+
		"RCPT TO:<bob@hamburger.edu>\r\nRCPT TO:<list2@hamburger.edu>\r\nDATA\r\n.\r\n"+
		"MAIL FROM:<alice@crepes.fr>\r\nQUIT\r\n")
	srv.Shutdown(t.Context()) // waits for on_disconnect
	want := []string{
		"on_connect  ",
		"on_helo a.example s",
		"on_mail a.example ss",
		"on_rcpt a.example sst bob",
		"on_rcpt a.example sstt bob list1",
		"on_rcpt a.example ssttt bob list2",
		"on_data a.example sstttt bob list2",
		"on_message a.example ssttttt bob list2",
		"on_mail a.example ss",
		"on_disconnect a.example ss",
	}
	if diff := cmp.Diff(want, d.lines); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if got := q.messages(); len(got) != 1 || len(got[0].tx.Envelope.Recipients) != 2 {
		t.Errorf("queued %+v", got)
	}
}

// TestStartTLSForgetsWhatHooksMadeOfIt holds that a session over TLS begins
// with what was known before the client said anything (RFC 3207 §4.2).
func TestStartTLSForgetsWhatHooksMadeOfIt(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	srv, _ := newServer(t)
	srv.TLS = serverTLS
	d := &diary{}
	srv.Policy = &pipeline.Pipeline{Stages: []pipeline.Stage{{Name: "diary", Guest: d, Hooks: everyHook}}}
	script := transcript.Script{TLS: clientTLS}
	script.Run(t, transcript.Dial(t, serve(t, srv)), writeFile(t, strings.Join([]string{
		"S: 220 *", "C: EHLO liar.example", "S: ...", "S: 250 STARTTLS", "C: STARTTLS", "S: 220 *", "! tls",
		"C: EHLO a.example", "S: ...", "S: 250 *", "C: QUIT", "S: 221 *", "! closed",
	}, "\n")))
	d.mu.Lock()
	defer d.mu.Unlock()
	if want := "on_helo a.example s"; !slices.Contains(d.lines, want) {
		t.Errorf("asked %q, want %q", d.lines, want)
	}
}

// TestWhatHooksLeaveIsQueued holds what verdicts of hooks before the content do
// to the message.
func TestWhatHooksLeaveIsQueued(t *testing.T) {
	for name, tt := range map[string]struct {
		guest      wordy
		from       string
		rcpts      []string
		recipients int // of what is queued; zero: nothing is
		hold       string
	}{
		"nothing":               {nil, "alice", []string{"bob"}, 1, ""},
		"connect holds":         {wordy{"connect": "quarantine"}, "alice", []string{"bob"}, 1, "odd"},
		"mail holds":            {nil, "mail-quarantine", []string{"bob"}, 1, "odd"},
		"rcpt holds":            {nil, "alice", []string{"list1", "bob+rcpt-quarantine"}, 2, "odd"},
		"data holds":            {nil, "data-quarantine", []string{"bob"}, 1, "odd"},
		"mail discards":         {nil, "mail-discard", []string{"bob"}, 0, ""},
		"data discards":         {nil, "data-discard", []string{"bob"}, 0, ""},
		"rcpt discards one":     {nil, "alice", []string{"bob+rcpt-discard", "list1"}, 1, ""},
		"rcpt discards the one": {nil, "alice", []string{"bob+rcpt-discard"}, 0, ""},
		"rcpt accepts one":      {nil, "alice", []string{"bob+rcpt-accept"}, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv, q := newServer(t)
			hooked(tt.guest)(srv)
			octets := "EHLO a.example\r\nMAIL FROM:<" + tt.from + "@crepes.fr>\r\n"
			for _, r := range tt.rcpts {
				octets += "RCPT TO:<" + r + "@hamburger.edu>\r\n"
			}
			got := say(t, serve(t, srv), octets+"DATA\r\n.\r\nQUIT\r\n")
			if !strings.Contains(got, "250 2.0.0 Message accepted") {
				t.Fatalf("the server says %q", got)
			}
			queued := q.messages()
			if tt.recipients == 0 {
				if len(queued) != 0 {
					t.Errorf("queued %+v", queued)
				}
				return
			}
			if len(queued) != 1 || len(queued[0].tx.Envelope.Recipients) != tt.recipients || queued[0].tx.Hold != tt.hold {
				t.Errorf("queued %+v", queued)
			}
		})
	}
}

// TestNobodyAsksNobodyIsAsked holds what hooks cost where no stage has one.
func TestNobodyAsksNobodyIsAsked(t *testing.T) {
	srv, _ := newServer(t)
	srv.Policy = &pipeline.Pipeline{Stages: []pipeline.Stage{{Name: "a", Guest: wordy{}}}}
	s := &session{srv: srv}
	if got := testing.AllocsPerRun(100, func() { s.consult(t.Context(), mail.HookRcpt) }); got != 0 {
		t.Errorf("%v allocations for each command, want none", got)
	}
}
