package script

import (
	"bytes"
	"context"
	"mime"
	netmail "net/mail"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

const tourLetter = "Received: from crepes.fr\r\n\tby hamburger.edu\r\nFrom: alice@crepes.fr\r\nTo: bob\r\n @hamburger.edu\r\n" +
	"Subject: =?utf-8?q?caf=C3=A9?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" +
	"--x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncr=EApe\r\n" +
	"--x\r\nContent-Type: text/plain; name=a.txt\r\nContent-Disposition: attachment; filename=a.txt\r\n\r\nfor you\r\n--x--\r\n"

// wantTour is what every tour sees.
const wantTour = "6,café,-,1,yes,-1; From,alice@crepes.fr,bob @hamburger.edu,21,188; 1,8,3; -1; " +
	"multipart/mixed,yes,no,no,no,,3; yes,text/plain,-,0,iso-8859-1,quoted-printable,1; crêpe,5,7,100,text/plain; charset=iso-8859-1; " +
	"a.txt,attachment,,text/plain,yes,no; yes,für dich; ä.json,0,4; yes,yes; " +
	"alice@crepes.fr,1,bob@hamburger.edu,bob@hamburger.edu; postmaster@crepes.fr,bob@hamburger.edu+eva@hamburger.edu; -2; " +
	"192.0.2.1,192.0.2.1,-; v,-; wörd\\,1+2.5,y,yes,yes,20; b,-,2,5,no,yes; -,v=spf1 -all,0; 1,no; yes,no; -8"

// store is a key-value store without time.
type store map[string][]byte

func (s store) Get(_ context.Context, key string) ([]byte, error) {
	if v, ok := s[key]; ok {
		return v, nil
	}
	return nil, host.ErrNotFound
}

func (s store) Set(_ context.Context, key string, value []byte, _ time.Duration) error {
	s[key] = slices.Clone(value)
	return nil
}

func (s store) Delete(_ context.Context, key string) error {
	delete(s, key)
	return nil
}

func (s store) Add(_ context.Context, key string, delta int64, _ time.Duration) (int64, error) {
	n, _ := strconv.ParseInt(string(s[key]), 10, 64)
	s[key] = strconv.AppendInt(nil, n+delta, 10)
	return n + delta, nil
}

func (s store) CompareAndSwap(_ context.Context, key string, old, value []byte, _ time.Duration) error {
	if !bytes.Equal(s[key], old) {
		return host.ErrConflict
	}
	s[key] = slices.Clone(value)
	return nil
}

type names map[string][]string

func (n names) Lookup(_ context.Context, _ uint16, name string) ([]string, error) {
	if v, ok := n[name]; ok {
		return v, nil
	}
	return nil, host.ErrNotFound
}

type counts map[string]float64

func (c counts) Count(name string, delta int64)     { c[name] += float64(delta) }
func (c counts) Observe(name string, value float64) { c[name] += value }

// TestTour holds that every method of an API does what it is for, in each
// language alike.
func TestTour(t *testing.T) {
	for name, module := range map[string]func(testing.TB, string) []byte{
		"tour.js": javaScript, "tour.rb": rubyModule, "tour.py": pythonModule,
	} {
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile("testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			opts := options(module(t, string(source)), `{"word":"wörd\\","list":[1,2.5],"nested":{"x":"y"}}`)
			metrics := counts{}
			opts.KV, opts.Resolver, opts.Metrics = store{}, names{"example.org": {"v=spf1 -all"}}, metrics
			p, log := loadWith(t, opts)
			tx := transaction()
			tx.Content = mail.Bytes(tourLetter)
			tx.Envelope.Recipients[0].Original = tx.Envelope.Recipients[0].Path
			answer, err := p.Handle(t.Context(), abi.HookMessage, tx)
			if err != nil {
				t.Fatalf("%v\n%s", err, log)
			}
			checkTour(t, tx, answer)
			if metrics["counted"] != 2 || metrics["observed"] != 0.5 {
				t.Errorf("metrics: %v", metrics)
			}
			if !strings.Contains(log.String(), "tour ends") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func checkTour(t *testing.T, tx *mail.Transaction, answer mail.Answer) {
	t.Helper()
	m, err := netmail.ReadMessage(strings.NewReader(content(t, tx)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("X-Tour"))
	if err != nil || got != wantTour {
		t.Errorf("got  %s\nwant %s", got, wantTour)
	}
	if answer.Verdict != mail.Accept {
		t.Errorf("verdict: %v", answer.Verdict)
	}
	if rcpts := tx.Envelope.Recipients; len(rcpts) != 1 || tx.Envelope.ReversePath.String() != "postmaster@crepes.fr" {
		t.Errorf("envelope: %+v", tx.Envelope)
	}
	if len(answer.Variants) != 1 || len(answer.Sends) != 1 || answer.Reason != "looks odd" {
		t.Errorf("%d variants, %d sends, reason %q; want one for eva, one to carol, and a reason", len(answer.Variants), len(answer.Sends), answer.Reason)
	}
}

// TestEveryFunctionIsCalled holds that no API leaves out a function of the ABI.
func TestEveryFunctionIsCalled(t *testing.T) {
	left := []string{"abi_version", "log_enabled"} // has tells more, and a line that is not wanted costs little
	for _, name := range []string{"javascript/mta.js", "ruby/mta.rb", "python/mta.py"} {
		source := api(name)
		for _, f := range abi.Functions {
			called := regexp.MustCompile(`[":]` + f.Name + `\b`).MatchString(source)
			given := name == "python/mta.py" && f.Name == "ctx_json" // it comes with the frame
			if called == (given || slices.Contains(left, f.Name)) {
				t.Errorf("%s calls %s: %t", name, f.Name, called)
			}
		}
	}
}
