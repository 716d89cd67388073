package script

import (
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
)

// makers make a module of a plugin, by the language.
var makers = map[string]func(testing.TB, string) []byte{
	"JavaScript": javaScript, "Ruby": rubyModule, "Python": pythonModule,
}

// TestHookFails holds that an error of a plugin fails its hook, is logged with
// its place, and leaves the message as it was.
func TestHookFails(t *testing.T) {
	for _, tt := range []struct{ name, lang, source, want string }{
		{"exception", "JavaScript", "export function onMessage(m) {\n m.headers.prepend('X-A', 'b');\n throw new Error('oh no');\n}", `plugin.js:3`},
		{"exception", "Ruby", "MTA.on_message do |m|\n m.headers.prepend('X-A', 'b')\n raise 'oh no'\nend", `plugin.rb:3`},
		{"exception", "Python", "import mta\n@mta.on_message\ndef f(m):\n m.headers.prepend('X-A', 'b')\n raise Exception('oh no')", `plugin.py\", line 5`},
		{"no verdict", "JavaScript", "export function onMessage(m) { return 'oh no'; }", "a hook returns a verdict"},
		{"no verdict", "Python", "import mta\n@mta.on_message\ndef f(m):\n return 'oh no'", "a hook returns a verdict"},
		{"error of the host", "JavaScript", "export function onMessage(m) { m.headers.setAt(99, 'oh no'); }", "MtaError: hdr_set: not found"},
		{"error of the host", "Ruby", "MTA.on_message { |m| m.headers.set_at(99, 'oh no') }", "MTA::Error: hdr_set: not found"},
		{"error of the host", "Python", "import mta\n@mta.on_message\ndef f(m):\n m.headers.set_at(99, 'oh no')", "mta.Error: hdr_set: not found"},
		{"promise that is refused", "JavaScript", "export async function onMessage(m) { await null; throw new Error('oh no'); }", "oh no"},
		{"end of the interpreter", "Ruby", "MTA.on_message { |m| exit }", "SystemExit"},
		{"end of the interpreter", "Python", "import mta, sys\n@mta.on_message\ndef f(m):\n sys.exit('oh no')", "oh no"},
		{"what was not asked for", "JavaScript", "// mta: grants body\nexport function onMessage(m) { m.headers.get('To'); }", "built without it"},
	} {
		t.Run(tt.lang+" "+tt.name, func(t *testing.T) {
			p, log := load(t, makers[tt.lang](t, tt.source), `{}`)
			tx := transaction()
			_, err := p.Handle(t.Context(), abi.HookMessage, tx)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(log.String()+err.Error(), tt.want) {
				t.Errorf("got %v and log %s, want %s", err, log, tt.want)
			}
			if got := content(t, tx); got != letterToBob {
				t.Errorf("the message is %q", got)
			}
		})
	}
}

// TestLoadFails holds that a plugin that cannot work is refused at the start.
func TestLoadFails(t *testing.T) {
	for _, tt := range []struct{ name, lang, source, want string }{
		{"mistake", "JavaScript", "export function onMessage(m) {\n 1 +;\n}", "plugin.js:2"},
		{"mistake", "Ruby", "MTA.on_message do |m|\n 1 +;\nend", "plugin.rb:2"},
		{"mistake", "Python", "import mta\n@mta.on_message\ndef f(m):\n 1 +\n", "SyntaxError"},
		{"error", "JavaScript", "export function onMessage(m) {}\nnone();", "plugin.js:2"},
		{"error", "Ruby", "MTA.on_message { |m| m }\nnone()", "plugin.rb:2"},
		{"error", "Python", "import mta\nnone()", "NameError"},
		{"refusal", "JavaScript", "export function onLoad(config) { throw new Error('no word given'); }\nexport function onMessage(m) {}", "no word given"},
		{"refusal", "Ruby", "MTA.on_load { |config| raise 'no word given' }\nMTA.on_message { |m| m }", "no word given"},
		{"refusal", "Python", "import mta\n@mta.on_load\ndef f(config):\n raise Exception('no word given')", "no word given"},
		{"another file", "JavaScript", "import './other.js';\nexport function onMessage(m) {}", "other.js"},
		{"what never comes", "JavaScript", "await new Promise(() => {});\nexport function onMessage(m) {}", "never ended loading"},
		{"a hook in a comment", "JavaScript", "/*\nexport function onRcpt(m) {}\n*/\nexport function onMessage(m) {}", "other hooks than the plugin exports: onRcpt"},
		{"a hook that was not seen", "Ruby", "MTA.on_message { |m| m }\nMTA.public_send('on_rcpt') { |m| m }", "without hooks that the plugin has: on_rcpt"},
	} {
		t.Run(tt.lang+" "+tt.name, func(t *testing.T) {
			_, log, err := tryLoad(t, options(makers[tt.lang](t, tt.source), `{}`))
			if err == nil {
				t.Fatal("it was loaded")
			}
			if !strings.Contains(err.Error()+log.String(), tt.want) {
				t.Errorf("got %v and log %s, want %s", err, log, tt.want)
			}
		})
	}
}

// TestIsolation holds that a plugin's variables are as they were after on_load
// for each message, but in Python, where they stay.
func TestIsolation(t *testing.T) {
	for _, tt := range []struct{ lang, source, want string }{
		{"JavaScript", "let n = 0;\nexport function onMessage(m) { n++; m.headers.prepend('X-N', String(n)); }", "X-N: 1\r\n"},
		{"Ruby", "$n = 0\nMTA.on_message { |m| $n += 1; m.headers.prepend('X-N', $n.to_s) }", "X-N: 1\r\n"},
		{"Python", "import mta\nn = 0\n@mta.on_message\ndef f(m):\n global n\n n += 1\n m.headers.prepend('X-N', str(n))", "X-N: 3\r\n"},
	} {
		t.Run(tt.lang, func(t *testing.T) {
			opts := options(makers[tt.lang](t, tt.source), `{}`)
			if tt.lang == "Python" {
				opts.Isolation = wasm.IsolateNone
			}
			p, log := loadWith(t, opts)
			got := ""
			for range 3 {
				tx, _ := handle(t, p, log)
				got = content(t, tx)
			}
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("the third message is %q, want it to begin with %q", got, tt.want)
			}
		})
	}
}

// TestOutput holds that what a plugin prints goes to the log, and not into the
// calls.
func TestOutput(t *testing.T) {
	for lang, source := range map[string]string{
		"JavaScript": "export function onMessage(m) { console.log('printed'); return m.accept(); }",
		"Ruby":       "MTA.on_message { |m| puts 'printed'; $stdout.flush; m.accept }",
		"Python":     "import mta\n@mta.on_message\ndef f(m):\n print('printed')\n return mta.ACCEPT",
	} {
		t.Run(lang, func(t *testing.T) {
			p, log := load(t, makers[lang](t, source), `{}`)
			if _, answer := handle(t, p, log); answer.Verdict.String() != "accept" {
				t.Errorf("verdict %v", answer.Verdict)
			}
			if !strings.Contains(log.String(), "printed") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

func TestHooksAreFound(t *testing.T) {
	for source, want := range map[string]string{
		"export function onMessage(m) {}":                         "on_message",
		"export async function onRcpt(m) {}":                      "on_rcpt",
		"  export const onDsn = (m) => 0;":                        "on_dsn",
		"function f() {}\nexport { f as onHelo, onMessage };":     "on_helo on_message",
		"export function onLoad() {}\nexport function onData(){}": "on_data",
	} {
		got, err := javaScriptHooks(source)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: got %q, %v, want %s", source, got, err, want)
		}
	}
	for _, source := range []string{"", "function onMessage(m) {}", "// export function onMessage", "export function onLoad() {}"} {
		if got, err := javaScriptHooks(source); err == nil {
			t.Errorf("%q: got %q", source, got)
		}
	}
}

func TestFunctions(t *testing.T) {
	for source, want := range map[string]string{
		"m.headers":                        "headers, body, envelope, route, clock, random",
		"mta.kv.get('x'); m.send(a, b, c)": "headers, body, envelope, route, send, kv, clock, random",
		"// mta: grants headers, dns\nkv":  "headers, dns",
		"x = 1\n  # mta: grant kv\n":       "kv",
		"#mta: grants\nm.headers":          "none",
	} {
		list, err := functions(source)
		var got abi.Grant
		for _, f := range list {
			got |= f.Grant
		}
		if err != nil || got.String() != want {
			t.Errorf("%q: got %s, %v, want %s", source, got, err, want)
		}
	}
	if _, err := functions("# mta: grants mail"); err == nil || !strings.Contains(err.Error(), "mail") {
		t.Errorf("got %v", err)
	}
}

// TestNothingIsLeaked holds that an instance that is kept from message to
// message does not grow.
func TestNothingIsLeaked(t *testing.T) {
	for lang, source := range map[string]string{
		"JavaScript": "export function onMessage(m) { for (const [name, value] of [...m.headers]) m.headers.append('X-' + name, value); m.root.text(); }",
		"Ruby":       "MTA.on_message { |m| m.headers.to_a.each { |name, value| m.headers.append('X-' + name, value) }; m.root.text }",
		"Python":     "import mta\n@mta.on_message\ndef f(m):\n for name, value in list(m.headers): m.headers.append('X-' + name, value)\n m.root.text()",
	} {
		t.Run(lang, func(t *testing.T) {
			opts := options(makers[lang](t, source), `{}`)
			opts.Isolation = wasm.IsolateNone
			p, log := loadWith(t, opts)
			var before int64
			for i := range 1000 {
				_, answer := handle(t, p, log)
				if i == 300 { // by then the interpreter has collected its garbage
					before = answer.Used.Memory
				}
				if i == 999 && answer.Used.Memory != before {
					t.Errorf("%d octets of memory after 1000 messages, %d after 300", answer.Used.Memory, before)
				}
			}
		})
	}
}
