package e2e

import (
	"bytes"
	"net/textproto"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// attacks are what the plugin in testdata/hostile does if a message asks for it.
var attacks = []string{"loop", "bomb", "recursion", "memory", "fill", "log", "calls", "headers", "pointer"}

// TestHostileStage takes 10,000 messages while a stage turns on the server at
// every tenth. Every message arrives, with the field of the honest stage; what
// the hostile one did before it failed is undone; and memory stays flat.
func TestHostileStage(t *testing.T) {
	testpeer.NeedCompiler(t, "c")
	const sessions, batches = 8, 5
	perBatch := 2000
	if testing.Short() {
		perBatch = 200
	}
	s := Start(t, `hostname: hamburger.edu
state: var
listen: {smtp: [127.0.0.1:0], http: [127.0.0.1:0]}
domains: {hamburger.edu: {deliver: mailbox}}
accounts: {bob@hamburger.edu: {password: `+demoPassword+`}}
plugins:
  hostile: ROOT/mta/internal/e2e/testdata/hostile
  honest: ROOT/sdk/conformance/filters/c
pipeline:
  - plugin: hostile
    fuel: 5M
    memory: 16MiB
    on_error: skip
  - plugin: honest
    config: {stamp: {name: X-Honest, value: "yes"}}
`)
	var number atomic.Int64
	var resident []int
	for range batches {
		end := number.Load() + int64(perBatch)
		var wg sync.WaitGroup
		for range sessions {
			wg.Go(func() { sendHostile(t, s.Addr("smtp"), &number, end) })
		}
		wg.Wait()
		number.Store(end)
		await(t, "the batch", func() bool { return len(bobsFiles(t, s)) >= int(end) })
		resident = append(resident, residentKiB(t, s.Pid()))
	}
	files := bobsFiles(t, s)
	if got, want := len(files), batches*perBatch; got != want {
		t.Errorf("%d messages in the mailbox, want %d", got, want)
	}
	marked := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(b, []byte("X-Honest: yes")) {
			t.Fatalf("%s was not seen by the honest stage:\n%s", file, b)
		}
		attacked, mark := bytes.Contains(b, []byte("X-Attack: ")), bytes.Contains(b, []byte("X-Hostile-Stage: "))
		if attacked && mark || !attacked && !mark {
			t.Fatalf("attack %t, and the mark of its stage %t:\n%s", attacked, mark, b)
		}
		if mark {
			marked++
		}
	}
	if want := batches * perBatch * 9 / 10; marked != want {
		t.Errorf("%d messages have the mark of the hostile stage, want %d", marked, want)
	}
	families := metricsOf(t, s)
	if got, want := counter(families, "mta_stages_total", "stage", "hostile", "outcome", "failed"), float64(batches*perBatch/10); got != want {
		t.Errorf("the hostile stage failed %v times, want %v", got, want)
	}
	if got := counter(families, "go_goroutines"); got > 200 {
		t.Errorf("%v goroutines are left", got)
	}
	t.Logf("resident after each batch of %d: %v KiB", perBatch, resident)
	const slack = 48 << 10 // KiB: what the garbage collector may leave lying about
	if last, first := resident[batches-1], resident[0]; last > first+slack {
		t.Errorf("memory grows: %d KiB after the first batch, %d KiB after the last", first, last)
	}
}

// sendHostile sends messages up to a number on one session. Every tenth asks
// for an attack.
func sendHostile(t *testing.T, addr string, number *atomic.Int64, end int64) {
	c, err := textproto.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	say := func(code int, format string, args ...any) bool {
		if format != "" {
			err = c.PrintfLine(format, args...)
		}
		if err == nil {
			_, _, err = c.ReadResponse(code)
		}
		return err == nil
	}
	ok := say(220, "") && say(250, "EHLO client.example")
	for n := number.Add(1); ok && n <= end; n = number.Add(1) {
		attack := ""
		if n%10 == 0 {
			attack = "X-Attack: " + attacks[n/10%int64(len(attacks))] + "\r\n"
		}
		ok = say(250, "MAIL FROM:<alice@crepes.fr>") && say(250, "RCPT TO:<bob@hamburger.edu>") && say(354, "DATA") &&
			say(250, "From: alice@crepes.fr\r\nSubject: number %d\r\n%s\r\nHow about pickles?\r\n.", n, attack)
	}
	if !ok {
		t.Error(err)
	}
}
