package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/kv"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/standing"
)

// fewMessages is a queue of a few entries.
type fewMessages []*queue.Entry

func (q *fewMessages) List(_ context.Context, f queue.Filter, after mail.QueueID, max int) (page []*queue.Entry, _ error) {
	for _, e := range *q {
		if e.ID > after && f.Match(e, time.Now()) && (max == 0 || len(page) < max) {
			page = append(page, e)
		}
	}
	return page, nil
}

func (q *fewMessages) Show(_ context.Context, id mail.QueueID) (*queue.Entry, error) {
	for _, e := range *q {
		if e.ID == id {
			return e, nil
		}
	}
	return nil, queue.ErrNotFound
}

func (q *fewMessages) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	_, err := q.Show(ctx, id)
	return mail.Bytes("Subject: crêpes\r\n\r\n\xff\r\n"), err
}

func (q *fewMessages) Lacks() string { return "" }

// partOfAQueue is one of which a part cannot be asked.
type partOfAQueue struct{ fewMessages }

func (q *partOfAQueue) Lacks() string { return "what is in Redis (away since noon)" }

func (q *fewMessages) Stats(context.Context) (queue.Stats, error) { return queue.Stats{}, nil }

func (q *fewMessages) Operate(ctx context.Context, o queue.Order) (queue.Change, error) {
	c := queue.Change{Failed: map[mail.QueueID]error{}}
	for _, id := range o.Filter.IDs {
		if e, err := q.Show(ctx, id); err != nil {
			c.Failed[id] = err
		} else if e.State(time.Now()) == queue.Active {
			c.Failed[id] = queue.ErrActive
		}
	}
	*q = slices.DeleteFunc(*q, func(e *queue.Entry) bool {
		if !o.Filter.Match(e, time.Now()) {
			return false
		}
		if e.State(time.Now()) == queue.Active {
			c.Active++
			return false
		}
		c.Changed++
		return o.Do == queue.Drop || o.Do == queue.Bounce
	})
	return c, nil
}

func (q *fewMessages) Survey(ctx context.Context, _ queue.Filter, by queue.Grouping, _ int) (*queue.Survey, error) {
	groups := []queue.Group{{Name: "hamburger.edu", Count: len(*q)}, {Count: 1}}
	return &queue.Survey{By: by, Messages: len(*q), Total: queue.Group{Count: len(*q) + 1}, Groups: groups}, nil
}

func (q *fewMessages) Lanes() []queue.LaneStatus {
	now := time.Now()
	return []queue.LaneStatus{
		{Lane: "hamburger.edu", State: queue.LaneDown, Limit: 1, Since: now.Add(-time.Hour - time.Second), Until: now.Add(5*time.Minute + time.Second), Reason: "451 4.4.1 connect: timed \x1bout"},
		{State: queue.LaneOpen, Active: 2, Limit: 50},
	}
}

func (q *fewMessages) LanesOf(*queue.Entry) []string { return []string{"hamburger.edu"} }

func envelope(from mail.Path, to ...string) mail.Envelope {
	e := mail.Envelope{ReversePath: from}
	for _, local := range to {
		p := mail.Path{Local: local, Domain: "hamburger.edu"}
		e.Recipients = append(e.Recipients, mail.Recipient{Path: p, Original: p})
	}
	return e
}

// startQueue serves the admin socket of a pipeline file, and returns the file.
func startQueue(t *testing.T, q admin.Queue) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "pipeline.yaml")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "var"), 0o700), os.WriteFile(file, []byte("hostname: hamburger.edu\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	l, err := admin.ListenSocket(filepath.Join(dir, "var"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	orders := &standing.Orders{KV: kv.NewMemory(kv.Options{}).Space(standing.Space), Log: slog.New(slog.DiscardHandler)}
	if err := orders.Load(ctx); err != nil {
		t.Fatal(err)
	}
	s := &admin.Server{Queue: q, Standing: orders, Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- s.Serve(ctx, l, s.Operator()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return file
}

// queueCommand runs `mta queue ARGS` and returns its exit code and output.
func queueCommand(t *testing.T, file string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, notes bytes.Buffer
	var c struct {
		Globals
		Queue QueueCmd `cmd:""`
	}
	parser, err := kong.New(&c, kong.Writers(&out, &notes), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := parser.Parse(append([]string{"--pipeline", file, "queue"}, args...))
	if err != nil {
		return 2, "", err.Error()
	}
	c.Stdout, c.Stderr = &out, &notes
	if err := ctx.Run(&c.Globals); err != nil {
		fmt.Fprint(&notes, err)
		code = 1
		if exit, ok := errors.AsType[*exitError](err); ok {
			code = exit.code
		}
	}
	return code, out.String(), notes.String()
}

func someMessages() *fewMessages {
	now := time.Now()
	return &fewMessages{
		{ID: "A1", Received: now.Add(-3*time.Hour - time.Minute), Size: 4096, Envelope: envelope(mail.Path{Local: "alice", Domain: "crepes.fr"}, "bob", "carol"), Attempts: 4, Due: now.Add(90*time.Minute + time.Second),
			Last: []queue.Attempt{{At: now.Add(-time.Hour), NextHop: "mx.hamburger.edu:25", Code: 451, Enh: "4.3.0", Text: "Try \x1b[31magain"}}},
		{ID: "B2", Received: now.Add(-50 * time.Hour), Size: 100, Envelope: envelope(mail.Path{}, "dave"), Held: "looks like spam"},
		{ID: "C3", Received: now.Add(-time.Minute), Size: 5 << 20, Envelope: envelope(mail.Path{Local: "erin", Domain: "pizza.it"}, "bob"), Lease: queue.Lease{Token: 1, Until: now.Add(time.Hour)}},
	}
}

func TestQueueSaysWhatCannotBeAsked(t *testing.T) {
	file := startQueue(t, &partOfAQueue{*someMessages()})
	for command, want := range map[string]string{
		"list": "not in this list: ", "list --json": "not in this list: ", "stats": "not counted: ", "stats --json": "not counted: ",
		"hold --domain hamburger.edu": "left alone: ", "hold --domain hamburger.edu --dry-run": "not in this list: ",
	} {
		code, stdout, stderr := queueCommand(t, file, strings.Fields(command)...)
		if want += "what is in Redis (away since noon)\n"; code != 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d and on stderr %q, want %q", command, code, stderr, want)
		}
		if stdout == "" || strings.Contains(stdout, "not in this list") {
			t.Errorf("%s: %q", command, stdout)
		}
	}
}

func TestQueueListIsATable(t *testing.T) {
	file := startQueue(t, someMessages())
	want := `ID  STATE    AGE  SIZE   FROM             TO                    NEXT TRY  REASON
A1  waiting  3h   4KiB   alice@crepes.fr  bob@hamburger.edu +1  in 1h     451 4.3.0 Try  [31magain
B2  held     2d   100B   <>               dave@hamburger.edu    -         looks like spam
C3  active   1m   5MiB   erin@pizza.it    bob@hamburger.edu     -         
`
	code, out, _ := queueCommand(t, file, "list")
	squeeze := func(s string) (rows [][]string) {
		for line := range strings.Lines(s) {
			rows = append(rows, strings.Fields(line))
		}
		return rows
	}
	if diff := cmp.Diff(squeeze(want), squeeze(out)); diff != "" || code != 0 {
		t.Errorf("code %d (-want +got):\n%s", code, diff)
	}
}

func TestQueueCommands(t *testing.T) {
	tests := []struct {
		name, args string
		code       int
		stdout     string // a part of it
		stderr     string // a part of it
	}{
		{"a filter", "list --older 2d", 0, "B2", ""},
		{"a size", "list --larger 1MiB --json", 0, `"queue_id":"C3"`, ""},
		{"a size that nothing has", "list --larger 5MiB", 0, "", "no messages"},
		{"a size without its unit", "list --larger 5", 2, "", `"5" has no unit`},
		{"a filter that finds nothing", "list --from nobody@*", 0, "", "no messages"},
		{"JSON lines", "list --json --state held", 0, `{"queue_name":"hold","queue_id":"B2",`, ""},
		{"a limit", "list --json --limit 1", 0, `"A1"`, ""},
		{"no command is list", "--state held", 0, "B2", ""},
		{"a state that is none", "list --state gone", 2, "", "--state must be one of"},
		{"a time without its unit", "list --older 5", 2, "", `"5" has no unit`},
		{"show", "show a1", 0, "next hop   mx.hamburger.edu:25", ""},
		{"show as JSON", "show B2 --json", 0, `"held":"looks like spam"`, ""},
		{"show what is not there", "show Z9", 1, "", "Z9: not in the queue"},
		{"show without an ID", "show", 2, "", "expected"},
		{"cat", "cat A1", 0, "Subject: crêpes\r\n\r\n\xff\r\n", ""},
		{"cat what is not there", "cat Z9", 1, "", "Z9: not in the queue"},
		{"retry", "retry A1 B2", 0, "2 due now\n", ""},
		{"retry by filter", "retry --to carol@*", 0, "1 due now\n", ""},
		{"retry everything", "retry --all", 0, "2 due now\n", ""},
		{"retry some of which are not there", "retry A1 Z9 C3", 1, "1 due now\n", "Z9: not in the queue\nC3: an attempt is under way"},
		{"retry nothing", "retry", 2, "", "--all"},
		{"retry both", "retry --all A1", 2, "", "--all goes with no other choice"},
		{"drop", "drop B2", 0, "1 dropped\n", ""},
		{"drop as JSON", "drop B2 --json", 0, `{"changed":1}`, ""},
		{"drop nothing", "drop", 2, "", "--all"},
		{"try it first", "drop --all --dry-run", 0, "A1", ""},
		{"filter by next hop", "list --next-hop nobody", 0, "", "no messages"},
		{"some of which are under way", "retry --from *@pizza.it", 0, "0 due now\n", "1 left alone: an attempt is under way"},
		{"hold", "hold A1 --because spam", 0, "1 held\n", ""},
		{"release", "release --state held", 0, "1 released\n", ""},
		{"reroute", "reroute A1 --via smtp://192.0.2.7:25", 0, "1 rerouted, and due now\n", ""},
		{"reroute by the file", "reroute A1 --via routes", 0, "1 rerouted", ""},
		{"reroute to nowhere", "reroute A1", 2, "", "missing flags: --via"},
		{"reroute to what is none", "reroute A1 --via nonsense://x", 2, "", "or write routes"},
		{"bounce", "bounce A1 --because left", 0, "1 returned\n", ""},
		{"flush", "flush", 0, "2 due now\n", ""},
		{"flush some", "flush --to dave@*", 0, "1 due now\n", ""},
		{"stats", "stats", 0, "hamburger.edu", ""},
		{"stats by reason", "stats --by reason", 0, "REASON", ""},
		{"stats by what is none", "stats --by weather", 2, "", "--by must be one of"},
		{"stats as JSON", "stats --json", 0, `"by":"next_hop"`, ""},
		{"lanes", "lanes", 0, "hamburger.edu  down", ""},
		{"why it waits", "show A1", 0, "hamburger.edu has been down for 1h", ""},
		{"no rules", "rule", 0, "", "no rules"},
		{"a rule", "rule add crepes --domain crepes.fr --because wait", 0, "rule crepes is in force\n", ""},
		{"a rule about everything", "rule add all", 1, "", "a rule needs a sender, a recipient or a domain"},
		{"a rule that is not there", "rule remove crepes", 1, "", "crepes: "},
		{"nobody is suppressed", "suppress", 0, "", "nobody is suppressed"},
		{"suppress", "suppress add bob@hamburger.edu --for 30d", 0, "nothing goes to bob@hamburger.edu any more\n", ""},
		{"suppress what is none", "suppress add @", 1, "", "neither an address nor a domain"},
		{"allow who is not there", "suppress remove bob@hamburger.edu", 1, "", "bob@hamburger.edu: "},
		{"elsewhere without a token", "--server https://mail.crepes.fr list", 2, "", "MTA_TOKEN"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := startQueue(t, someMessages())
			code, stdout, stderr := queueCommand(t, file, strings.Fields(test.args)...)
			if code != test.code || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
				t.Errorf("code %d, want %d\nstdout %q\nwant   %q\nstderr %q\nwant   %q", code, test.code, stdout, test.stdout, stderr, test.stderr)
			}
			if strings.Contains(stdout+stderr, "\x1b") {
				t.Error("what a peer said reached the terminal as it was")
			}
		})
	}
}

func TestQueueWithoutAServerSaysHowToStartOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	if code, _, stderr := queueCommand(t, file, "list"); code != 1 || !strings.Contains(stderr, "there is no such file") {
		t.Errorf("no file: code %d, %s", code, stderr)
	}
	if err := os.WriteFile(file, []byte("state: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := queueCommand(t, file, "list")
	if want := "start it with `mta --pipeline " + file + "`"; code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("code %d: %s, want %s", code, stderr, want)
	}
}

func TestQueueRulesAndSuppressions(t *testing.T) {
	file := startQueue(t, someMessages())
	for _, step := range []struct{ args, stdout, stderr string }{
		{"rule add crepes --domain crepes.fr --because wait", "rule crepes is in force", ""},
		{"rule list", "crepes  *     *   crepes.fr", ""},
		{"rule list --json", `"held":"hold rule crepes: wait"`, ""},
		{"rule remove crepes --release", "rule crepes is removed\n0 released", ""},
		{"suppress add bob@hamburger.edu --because left", "nothing goes to bob@hamburger.edu", ""},
		{"suppress list", "bob@hamburger.edu  -", ""},
		{"suppress list --json", `"address":"bob@hamburger.edu"`, ""},
		{"suppress remove bob@hamburger.edu", "mail goes to bob@hamburger.edu again", ""},
		{"suppress list", "", "nobody is suppressed"},
	} {
		code, stdout, stderr := queueCommand(t, file, strings.Fields(step.args)...)
		if code != 0 || !strings.Contains(stdout, step.stdout) || !strings.Contains(stderr, step.stderr) {
			t.Errorf("%s: code %d\n%s%s", step.args, code, stdout, stderr)
		}
	}
}

// Scripts that read `postqueue -j` read this, too.
func TestQueueListReadsAsPostfix(t *testing.T) {
	file := startQueue(t, someMessages())
	_, stdout, _ := queueCommand(t, file, "list", "--json")
	python := exec.Command("python3", "-c", `
import sys, json
for line in sys.stdin:
    m = json.loads(line)
    for r in m["recipients"]:
        print(m["queue_name"], m["queue_id"], m["message_size"], m["sender"], r["address"], r.get("delay_reason", ""))
`)
	python.Stdin = strings.NewReader(stdout)
	out, err := python.Output()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no python3")
	}
	want := "deferred A1 4096 alice@crepes.fr bob@hamburger.edu 451 4.3.0 Try \x1b[31magain\n" +
		"deferred A1 4096 alice@crepes.fr carol@hamburger.edu \n" +
		"hold B2 100 MAILER-DAEMON dave@hamburger.edu \n" +
		"active C3 5242880 erin@pizza.it bob@hamburger.edu \n"
	if string(out) != want || err != nil {
		t.Errorf("got %q, %v\nwant %q", out, err, want)
	}
}
