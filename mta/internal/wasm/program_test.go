package wasm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/bundle"
)

// builtProgram is testdata/program, built once for all tests.
var builtProgram = sync.OnceValues(func() ([]byte, error) {
	out := filepath.Join(cacheDir, "program.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, ".")
	cmd.Dir = "testdata/program"
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return os.ReadFile(out)
})

// program is the program with a bundle.
func program(t testing.TB, b bundle.Bundle) []byte {
	t.Helper()
	code, err := builtProgram()
	if err == nil {
		code, err = bundle.Write(code, b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// told is a configuration of the program.
type told struct {
	Do   string `json:"do"`
	Code int    `json:"code,omitempty"`
	Text string `json:"text,omitempty"`
}

func (c told) json() json.RawMessage {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return b
}

func loadProgram(t testing.TB, c told, opts LoadOptions) (*Plugin, error) {
	t.Helper()
	b := bundle.Bundle{Mode: bundle.Command, Args: []string{"program"}, Env: map[string]string{"OF_BUNDLE": "yes"},
		Files: map[string][]byte{"words.txt": []byte("words")}}
	if opts.Mode == ModeLoop {
		b.Mode, b.Args = bundle.Loop, []string{"program", "loop"}
	}
	opts.Name, opts.Wasm, opts.Config = "test", program(t, b), c.json()
	if opts.Budget.Timeout == 0 {
		opts.Budget.Timeout = 10 * time.Second
	}
	return newRuntime(t, Options{CacheDir: cacheDir}).Load(t.Context(), opts)
}

// asked is what a program's call came to.
type asked struct {
	answer mail.Answer
	err    *Error
	text   string // the message
}

func askProgram(t *testing.T, p *Plugin, content string) (got asked) {
	t.Helper()
	tx := transaction()
	tx.Content = mail.Bytes(content)
	var err error
	got.answer, err = p.Handle(t.Context(), abi.HookMessage, tx)
	got.err, _ = errors.AsType[*Error](err)
	b, err := mail.ReadAll(tx.Content)
	if err != nil {
		t.Fatal(err)
	}
	got.text = string(b)
	return got
}

// TestCommand runs a program for each message.
func TestCommand(t *testing.T) {
	for _, tt := range []struct {
		name   string
		do     told
		output string
		want   string // "VERDICT CODE ENHANCED TEXT", or the kind of an error and a part of its detail
		text   string // what is before the letter; or all, if it begins with =
	}{
		{"fields", told{Do: "field", Text: "hi"}, OutputHeaders, "continue 0  ", "X-Text: hi\r\nX-Long: one\r\n\ttwo\r\n"},
		{"no fields", told{}, OutputHeaders, "continue 0  ", ""},
		{"no fields, but text", told{Do: "same"}, OutputHeaders, "verdict cannot be inserted", ""},
		{"the same message", told{Do: "same"}, OutputMessage, "continue 0  ", ""},
		{"lines that end in LF", told{Do: "lf"}, OutputMessage, "continue 0  ", "=" + letter + "one more line\r\n"},
		{"no message", told{}, OutputMessage, "verdict exited with code 0 and wrote no message", ""},
		{"output that is dropped", told{Do: "field"}, OutputNone, "continue 0  ", ""},
		{"environment", told{Do: "environment"}, OutputHeaders, "continue 0  ", "X-MTA-STAGE: message\r\nX-SENDER: alice@crepes.fr\r\n" +
			"X-RECIPIENTS: bob@hamburger.edu\r\nX-CLIENT-IP: 192.0.2.1\r\nX-HELO: crepes.fr\r\nX-AUTH-USER: \r\n" +
			"X-QUEUE-ID: 0123456789ABCDEF\r\nX-OF-BUNDLE: yes\r\nX-Args: program\r\nX-Context: true\r\n"},
		{"reject", told{Do: "exit", Code: 77}, OutputMessage, "reject 550 5.7.1 ", ""},
		{"reject in words", told{Do: "exit", Code: 100, Text: "thinking\n5.7.7 Not like this\nbye"}, OutputMessage, "reject 550 5.7.7 Not like this", ""},
		{"reject, words of a deferral", told{Do: "exit", Code: 65, Text: "4.7.7 Later"}, OutputMessage, "reject 550 5.6.0 ", ""},
		{"defer in words", told{Do: "exit", Code: 75, Text: "5.1.1 no\n4.2.1 Later  "}, OutputMessage, "defer 451 4.2.1 Later", ""},
		{"discard", told{Do: "exit", Code: 99}, OutputMessage, "discard 0  ", ""},
		{"fields of one that rejects", told{Do: "field", Code: 67}, OutputHeaders, "reject 550 5.1.1 ", ""},
		{"unknown code", told{Do: "exit", Code: 3, Text: "what now"}, OutputMessage, "exit exited with code 3: what now", ""},
		{"stdout flood", told{Do: "flood"}, OutputHeaders, "trap wrote more than 1MiB to stdout", ""},
		{"stderr flood", told{Do: "scream"}, OutputMessage, "calls used its 20k calls", ""},
		{"endless loop", told{Do: "spin"}, OutputMessage, "fuel used its 100M units of fuel", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := loadProgram(t, tt.do, LoadOptions{Output: tt.output, Budget: Budget{Fuel: 1e8, HostCalls: 20_000}})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got := askProgram(t, p, letter)
				a := got.answer
				said := fmt.Sprintf("%s %d %s %s", a.Verdict, a.Code, a.Enh, a.Text)
				if got.err != nil {
					said = fmt.Sprintf("%s %s", got.err.Kind, got.err.Detail)
				}
				kind, detail, _ := strings.Cut(tt.want, " ")
				if said != tt.want && (got.err == nil || string(got.err.Kind) != kind || !strings.Contains(got.err.Detail, detail)) {
					t.Errorf("got %q, want %q", said, tt.want)
				}
				want := tt.text + letter
				if all, ok := strings.CutPrefix(tt.text, "="); ok {
					want = all
				}
				if got.text != want {
					t.Errorf("the message is %q, want %q", got.text, want)
				}
				if a.Used.Fuel == 0 {
					t.Error("it used no fuel")
				}
			}
		})
	}
}

// TestFolders holds what files a program sees: those of its bundle and of the
// folders that it was given, and no way out of them.
func TestFolders(t *testing.T) {
	folders := folder(t)
	outside := filepath.Join(t.TempDir(), "outside")
	if err := errors.Join(os.WriteFile(outside, []byte("secret"), 0o600),
		os.Symlink(outside, filepath.Join(folders[0].Path, "link"))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		grants []string
		f      string
	}{
		{[]string{"headers", "body", "folders"}, `"text" true`},
		{[]string{"headers", "body"}, `"" false`},
	} {
		p, err := loadProgram(t, told{Do: "read"}, LoadOptions{Output: OutputHeaders, Grants: tt.grants, Folders: folders})
		if err != nil {
			t.Fatal(err)
		}
		want := "X-Read: /plugin/words.txt \"words\" true\r\nX-Read: /f/file " + tt.f + "\r\nX-Read: /etc/passwd \"\" false\r\n" +
			"X-Read: /f/../../etc/passwd \"\" false\r\nX-Read: /f/link \"\" false\r\nX-Write: false false\r\n" + letter
		if got := askProgram(t, p, letter); got.err != nil || got.text != want {
			t.Errorf("grants %q: %v, %s\nwant %s", tt.grants, got.err, got.text, want)
		}
	}
}

// TestLoop asks a program that serves one message after the other.
func TestLoop(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   told
		want []string // for one message after the other: a verdict and its reply, or the kind of an error and a part of its detail
		text []string // before the letter
	}{
		{"reject", told{Do: "reject", Text: "No"}, []string{"reject 550 5.7.1 No", "reject 550 5.7.1 No"}, []string{"", ""}},
		{"replace", told{Do: "replace"}, []string{"continue 0  ", "continue 0  "}, []string{"X-Served: 1\r\n", "X-Served: 2\r\n"}},
		{"no answer", told{Do: "quiet"}, []string{"verdict asked for the next message before"}, []string{""}},
		{"two answers", told{Do: "twice"}, []string{"verdict wrote more after its answer"}, []string{""}},
		{"an error", told{Do: "what"}, []string{"verdict does not know what"}, []string{""}},
		{"no frame", told{Do: "raw", Text: "hello\n"}, []string{"verdict is no frame"}, []string{""}},
		{"a frame too large", told{Do: "raw", Text: "2 2000000000\n"}, []string{"verdict is no frame"}, []string{""}},
		{"a negative length", told{Do: "raw", Text: "2 -1\n"}, []string{"verdict is no frame"}, []string{""}},
		{"a long line", told{Do: "raw", Text: strings.Repeat("1", 100)}, []string{"verdict is no frame"}, []string{""}},
		{"no JSON", told{Do: "raw", Text: "2 0\n{]"}, []string{"verdict no object"}, []string{""}},
		{"an unknown member", told{Do: "raw", Text: "14 0\n{\"verdcit\":\"\"}"}, []string{"verdict unknown field"}, []string{""}},
		{"an unknown verdict", told{Do: "raw", Text: "17 0\n{\"verdict\":\"maybe\"}"}, []string{"verdict"}, []string{""}},
		{"arguments that do not fit", told{Do: "raw", Text: "38 0\n{\"call\":\"hdr_find\",\"args\":[0,\"a\",\"b\"]}"}, []string{"verdict argument from"}, []string{""}},
		{"too many arguments", told{Do: "raw", Text: "30 0\n{\"call\":\"msg_size\",\"args\":[0]} "}, []string{"verdict too many arguments"}, []string{""}},
		{"a capacity beyond all", told{Do: "raw", Text: "42 0\n{\"call\":\"sender_get\",\"args\":[2000000000]} "}, []string{"verdict capacity of 2000000000"}, []string{""}},
		{"exit", told{Do: "exit", Code: 7}, []string{"exit exited with code 7"}, []string{""}},
		{"endless loop", told{Do: "spin"}, []string{"fuel used its 100M units", "fuel used its 100M units"}, []string{"", ""}},
		{"long sleep", told{Do: "sleep"}, []string{"timeout timed out"}, []string{""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := LoadOptions{Mode: ModeLoop, Instances: 1, Budget: Budget{Fuel: 1e8, Timeout: time.Second}}
			p, err := loadProgram(t, tt.do, opts)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range tt.want {
				got := askProgram(t, p, letter)
				a := got.answer
				said := fmt.Sprintf("%s %d %s %s", a.Verdict, a.Code, a.Enh, a.Text)
				kind, detail, _ := strings.Cut(want, " ")
				if got.err != nil {
					said = fmt.Sprintf("%s %s", got.err.Kind, got.err.Detail)
					if string(got.err.Kind) == kind && strings.Contains(got.err.Detail, detail) {
						said = want
					}
				}
				if said != want {
					t.Errorf("message %d: got %q, want %q", i, said, want)
				}
				if got.text != tt.text[i]+letter {
					t.Errorf("message %d is %q", i, got.text)
				}
				if a.Used.Fuel == 0 {
					t.Error("it used no fuel")
				}
			}
		})
	}
}

// TestLoopThatDoesNotRead has a loop call and call, and read nothing: the host
// does not keep more for it than one answer of the largest size.
func TestLoopThatDoesNotRead(t *testing.T) {
	const call = `{"call":"msg_read","args":[0,16777216]}`
	frames := strings.Repeat(fmt.Sprintf("%d 0\n%s", len(call), call), 100)
	p, err := loadProgram(t, told{Do: "raw", Text: frames}, LoadOptions{Mode: ModeLoop, Budget: Budget{Memory: 256 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	got := askProgram(t, p, letter+strings.Repeat("a line of text\r\n", 1<<20))
	if got.err == nil || !strings.Contains(got.err.Detail, "called msg_read before it read") {
		t.Errorf("%v", got.err)
	}
}

// TestLoopCalls has a loop call functions of the ABI.
func TestLoopCalls(t *testing.T) {
	p, err := loadProgram(t, told{Do: "calls"}, LoadOptions{Mode: ModeLoop})
	if err != nil {
		t.Fatal(err)
	}
	const content = "Subject: =?utf-8?q?h=69?=\r\n\r\nsome text\r\n"
	want := "X-Calls: 2 hi 15 0 " + fmt.Sprint(len(content)) + " 3 tex 1 0 0 16 16 -8 -4 alice@crepes.fr\r\n"
	got := askProgram(t, p, content)
	head, body, _ := strings.Cut(got.text, "\r\n\r\n")
	if got.err != nil || !strings.HasPrefix(strings.ReplaceAll(head+"\r\n", "\r\n ", " "), want) || body != "new body\r\n" {
		t.Errorf("%v, %q, want %q", got.err, got.text, want)
	}
}

// TestLoopHooks asks a loop what it wants to be asked; that it names a hook
// twice does not have it asked twice.
func TestLoopHooks(t *testing.T) {
	p, err := loadProgram(t, told{Do: "hooks"}, LoadOptions{Mode: ModeLoop})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Hooks(), " "); got != "on_rcpt on_message" {
		t.Errorf("hooks are %q", got)
	}
	for _, hook := range p.Hooks() {
		tx := transaction()
		if _, err := p.Handle(t.Context(), hook, tx); err != nil || tx.Notes["asked"] != hook+" with 0 octets" {
			t.Errorf("%s: %v, notes %q", hook, err, tx.Notes)
		}
	}
	for do, want := range map[told]string{
		{Do: "refuse", Text: "no tag"}: "refused to start: no tag",
		{Do: "bad hook"}:               `wants to be asked "on_tuesday", which is no hook`,
		{Do: "say nothing"}:            "asked for the next message before it answered",
	} {
		if _, err := loadProgram(t, do, LoadOptions{Mode: ModeLoop}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", do.Do, err, want)
		}
	}
}

// BenchmarkStageCommand and BenchmarkStageLoop pass a message through a Go
// program.
func BenchmarkStageCommand(b *testing.B) {
	benchmarkProgram(b, told{Do: "field"}, LoadOptions{Output: OutputHeaders})
}

func BenchmarkStageLoop(b *testing.B) {
	benchmarkProgram(b, told{Do: "replace"}, LoadOptions{Mode: ModeLoop})
}

func benchmarkProgram(b *testing.B, do told, opts LoadOptions) {
	p, err := loadProgram(b, do, opts)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := p.Handle(b.Context(), abi.HookMessage, transaction()); err != nil {
			b.Fatal(err)
		}
	}
}
