package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// words are what a fuzzed guest has in its memory, for every kind of text that
// a function takes, good and bad.
var words = []string{
	"", "Subject", "X-A", "Content-Type", "value", "b\xc3\xbccher", "a\r\nBcc: b@x", "\x00", "\xff", strings.Repeat("long ", 300),
	"bob@x", "a b@x", "bob@x\ncarol@x", "text/plain", "text/*", "multipart/mixed", "multipart/mixed; boundary=b", "name.txt",
	"5.7.1", "4.2.0", "No", "mx.example.net", "Lists/go", "../up", `\Seen`, "X-Raw: a\r\n b", "key", "1", "counter_1",
	"org.wasmta.address.normalize", "org.wasmta.idna.to_ascii", "/client/ip", "\x01\x00\x00\x00", "\x02\x00\x00\x00\x01\x00\x00\x00",
	"Subject: x\r\n\r\nbody\r\n", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b--\r\n",
}

var numbers = []int64{0, 1, 2, 3, -1, -2, 550, 450, 421, 25, 1 << 31, -1 << 31, 1<<63 - 1, -1 << 63, 1795514400000}

const nested = "From: a@x\r\nSubject: =?utf-8?q?Cr=C3=AApes?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nCaf=E9\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody\r\n--b--\r\n"

// FuzzCalls calls any functions with any parameters. Nothing of it may panic,
// and what is left, or undone, must be mail.
func FuzzCalls(f *testing.F) {
	for i := range abi.Functions {
		f.Add(byte(8), []byte{byte(i), 1, 2, 3, 4, byte(i), 5, 6, 7, 8})
	}
	f.Add(byte(8), []byte("blobs, parts and variants"))
	f.Fuzz(func(t *testing.T, hook byte, program []byte) {
		g := &guest{}
		places := fill(g)
		m := parse(nested)
		g.call = newCall(abi.Hooks[int(hook)%len(abi.Hooks)], func(in *host.Input) {
			in.Open = func() (host.Message, error) { return m, nil }
			in.KV = testcase.NewKV(nil, time.Now)
			in.Limits = host.Limits{BlobOctets: 1 << 16, HeaderOctets: 1 << 14, PartsAdded: 20, Variants: 3}
		})
		next := func() int {
			if len(program) == 0 {
				return 0
			}
			b := program[0]
			program = program[1:]
			return int(b)
		}
		for n := 0; len(program) > 0 && n < 60; n++ {
			fn := abi.Functions[next()%len(abi.Functions)]
			if got, err := g.do(fn, arguments(fn, places, next)); err != nil || got < -10 {
				t.Fatalf("%s answers %d, %v", fn.Name, got, err)
			}
		}
		checkChanges(t, g.call.Commit())
		g.call.Rollback()
		if got := octetsOf(m); got != nested {
			t.Fatalf("rolled back to %q", got)
		}
	})
}

// fill puts the words into a guest's memory, and says where they are.
func fill(g *guest) (places [][2]int64) {
	at := int64(1 << 14) // below is room for results
	for _, w := range words {
		copy(g.memory[at:], w)
		places = append(places, [2]int64{at, int64(len(w))})
		at += int64(len(w))
	}
	return places
}

func arguments(f abi.Function, places [][2]int64, next func() int) (args []int64) {
	for _, p := range f.Params {
		switch p.Kind {
		case abi.In:
			w := places[next()%len(places)]
			args = append(args, w[0], w[1])
		case abi.Out:
			args = append(args, 0, []int64{0, 1, 40, 4096}[next()%4])
		case abi.OutI64:
			args = append(args, 0)
		case abi.I32:
			args = append(args, int64(int32(numbers[next()%len(numbers)])))
		default:
			args = append(args, numbers[next()%len(numbers)])
		}
	}
	return args
}

// checkChanges holds that nothing of what a call left can break a line in what
// it is written to.
func checkChanges(t *testing.T, ch host.Changes) {
	t.Helper()
	rcpts := ch.Recipients
	messages := []host.Message{ch.Message}
	for _, v := range ch.Variants {
		rcpts, messages = append(rcpts, v.Recipients...), append(messages, v.Message)
		if len(v.Recipients) == 0 {
			t.Error("a variant for nobody")
		}
	}
	for _, r := range rcpts {
		if _, err := host.CheckPath(r.Address); err != nil {
			t.Errorf("recipient %q: %v", r.Address, err)
		}
		if r.Reply != nil && (strings.ContainsAny(r.Reply.Text, "\r\n\x00") || r.Reply.Code < 400 || r.Reply.Code > 599) {
			t.Errorf("reply %+v", r.Reply)
		}
	}
	if strings.ContainsAny(ch.Hold+ch.Sender, "\r\n\x00") {
		t.Errorf("reason %q, sender %q", ch.Hold, ch.Sender)
	}
	for _, m := range messages {
		if m != nil {
			checkLines(t, octetsOf(m))
		}
	}
	for _, s := range ch.Sends {
		checkLines(t, string(s.Octets))
	}
}

func checkLines(t *testing.T, octets string) {
	t.Helper()
	if rest := strings.ReplaceAll(octets, "\r\n", ""); strings.ContainsAny(rest, "\r\n\x00") {
		t.Errorf("bare line ends in %q", octets)
	}
}
