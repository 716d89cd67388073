package config

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// load parses text as if it stood in testdata/bad/test.yaml.
func load(t *testing.T, text string) *Config {
	t.Helper()
	c, findings := parse("testdata/bad/test.yaml", []byte(text), testOptions)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	return c
}

func findingsOf(text string) []string {
	_, findings := parse("f", []byte(text), testOptions)
	var got []string
	for _, f := range findings {
		got = append(got, f.String())
	}
	return got
}

// stage is one with the defaults and what set says.
func stage(set func(*Stage)) Stage {
	s := defaultStage()
	set(&s)
	return s
}

func TestEveryKeyIsRead(t *testing.T) {
	got, findings := Load("testdata/full.yaml", testOptions)
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	loopback := func(port uint16) []Address { return []Address{{"127.0.0.1", port}} }
	want := &Config{
		File: "testdata/full.yaml", Dir: "testdata", Hostname: "hamburger.edu", State: "testdata/var",
		Listen: Listen{
			SMTP: []Address{{"", 25}, {"::1", 2525}}, Submission: loopback(2587), Submissions: []Address{}, LMTP: loopback(2424),
			POP3: loopback(2110), POP3S: []Address{}, IMAP: []Address{{"localhost", 2143}}, IMAPS: []Address{}, HTTP: loopback(0),
		},
		Domains: []Domain{
			{"hamburger.edu", Endpoint{Scheme: "mailbox"}, mail.Path{Local: "alice", Domain: "hamburger.edu"}},
			{Name: "lists.hamburger.edu", Deliver: Endpoint{Scheme: "lmtp", Host: "127.0.0.1", Port: 24}},
			{Name: "old.example", Deliver: Endpoint{Scheme: "smtp", Host: "mx.old.example", Port: 25}},
		},
		Postmaster: mail.Path{Local: "admin", Domain: "hamburger.edu"},
		Accounts:   []Account{{"bob@hamburger.edu", "$argon2id$x"}, {"alice@hamburger.edu", "$argon2id$fromfile"}},
		Admin:      Admin{Tokens: []AdminToken{{"alice", "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}, {"bot", "$argon2id$x"}}, Readers: []AdminToken{{"graphs", "sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"}}},
		Relay: Relay{
			Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
			Routes: []Route{
				{"crepes.fr", Endpoint{Scheme: "smtp", Host: "127.0.0.1", Port: 2526}},
				{"*.crepes.fr", Endpoint{Scheme: "mx", TLS: SecurityRequired, NoMTASTS: true, NoDANE: true}},
				{"smarthost.example", Endpoint{Scheme: "smtps", Host: "smarthost.example", Port: 465, User: "alice", Password: "p@ss:w/rd"}},
				{"user.example", Endpoint{Scheme: "smtp", Host: "smarthost.example", Port: 587, User: "alice", Password: "p@ss:w/rd"}},
				{"six.example", Endpoint{Scheme: "lmtp", Host: "::1", Port: 24}},
				{"*", Endpoint{Scheme: "smtps", Host: "mx.example.org", Port: 465, User: "bob", Password: "x"}},
			},
			TLS: SecurityVerified, MTASTS: "testing", DANE: "off", IP: "ipv4-only",
			VERP: []string{"list@crepes.fr", "lists.crepes.fr"}, Connections: 50,
			Timeout: 90 * time.Second, FinalReply: 20 * time.Minute, DNS: "127.0.0.1:53", Concurrency: 3,
		},
		Queue: Queue{
			Store: "redis+sentinel://mta:p%40ss%3Aw%2Frd@h1.example:26379,[::1]:26379/mymaster/2",
			Retry: Retry{10 * time.Second, 1.5, time.Hour},
			RetryOn: RetryOn{
				Unreachable: Retry{30 * time.Second, 2, 4 * time.Hour}, Timeout: Retry{10 * time.Minute, 2, 4 * time.Hour},
				TLS: Retry{15 * time.Minute, 2, 4 * time.Hour}, Auth: Retry{15 * time.Minute, 2, 4 * time.Hour},
				Greylisted: Retry{5 * time.Minute, 1, 5 * time.Minute}, Full: Retry{30 * time.Minute, 2, 4 * time.Hour},
			},
			NextHops: []NextHop{
				{"crepes.fr", 5, Rate{100, time.Minute}, 50, Retry{5 * time.Minute, 2, time.Hour}},
				{Pattern: "*.example", Rate: Rate{1, time.Second}}, {Pattern: "192.0.2.1", Concurrency: 1},
			},
			ExpireAfter: 36 * time.Hour, Concurrency: 7,
			Durability: "relaxed", Replicas: 1, Contents: "testdata/plugin", ContentLimit: 256 << 10,
			Node: "mx1.example", Prefix: "mta-2", Lease: 30 * time.Second,
		},
		Plugins: []Plugin{{"stamp", "testdata/plugin", ""}, {"rewrite", "testdata/plugin", strings.Repeat("0a1b", 16)}},
		Pipeline: []Stage{
			stage(func(s *Stage) {
				s.Name, s.Plugin, s.Config = "stamp", "stamp", json.RawMessage(`{"add":{"X-Processed-By":"${hostname}"}}`)
			}),
			stage(func(s *Stage) {
				s.Name, s.Plugin, s.When = "foot", "rewrite", "size < 1048576"
				s.Timeout, s.Memory, s.OnError = 250*time.Millisecond, 32<<20, OnErrorSkip
				s.Fuel, s.LogOctets, s.HostCalls, s.Isolation, s.Instances = 250e6, 4<<10, 20000, "none", 3
				s.Grant = []string{"headers", "kv", "folders"}
				s.Folders = []Folder{{"lists", "testdata/plugin"}, {"here", "testdata"}}
				s.Mode, s.Output = "auto", "headers"
				s.Breaker = Breaker{0, 2 * time.Minute, 10 * time.Second}
			}),
			stage(func(s *Stage) {
				s.Name, s.Plugin, s.After, s.Grant = "stamp-2", "stamp", "queue", []string{}
			}),
		},
		Limits: Limits{20 << 20, 200, 1000, 30, 4, time.Minute, 2 * time.Minute, 30 * time.Second, 5, 25},
		Log:    Log{"debug", "json"},
		Tests: []Test{{
			Name: "a stamped message", Message: "testdata/crepe.eml", From: &mail.Path{Local: "alice", Domain: "crepes.fr"},
			To: []mail.Path{{Local: "bob", Domain: "hamburger.edu"}}, Client: netip.MustParseAddr("192.0.2.1"), Helo: "crepes.fr", Repeat: 1,
			Expect: Expect{Verdict: "accept", Header: []HeaderField{{"X-Processed-By", "hamburger.edu"}}},
		}, {
			Name: "greylisting", Message: "testdata/crepe.eml", From: &mail.Path{}, ClientName: "mail.crepes.fr", Account: "alice", TLS: "TLSv1.3",
			Now: time.Date(2026, 11, 25, 11, 0, 0, 0, time.UTC), Repeat: 2, Wait: 5 * time.Minute,
			DNS: []Records{{"crepes.fr", "TXT", []string{"v=spf1 -all"}}, {"x.example", "MX", []string{"10 mx.x.example.", "!timeout"}}},
			Expect: Expect{
				Reply: "4.7.1", Held: "lottery", To: []mail.Path{{Local: "bob", Domain: "hamburger.edu"}}, Folder: "Junk",
				NoHeader: []string{"X-Mailer"}, Text: []string{"I am away"}, Sends: []mail.Path{{Local: "alice", Domain: "crepes.fr"}},
			},
		}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Config{}), cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}), cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFileThatSaysLittleHasTheDefaults(t *testing.T) {
	got := load(t, "hostname: a.example\nlisten:\nlimits: {}\npipeline: []\n")
	want := Defaults()
	want.Hostname, want.State = "a.example", "testdata/bad/var"
	if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(Config{}), cmpopts.IgnoreFields(Config{}, "File", "Dir"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFoldersGrantThemselvesWhereNothingElseIsGranted(t *testing.T) {
	c := load(t, "hostname: a.example\nplugins: {p: ../plugin}\npipeline:\n- {plugin: p, grant: , folders: {x: .}}\n- {plugin: p, grant: []}\n- {plugin: p, grant: [folders], folders: }\n- {plugin: p}\n")
	def := defaultStage().Grant
	want := [][]string{append(slices.Clone(def), "folders"), {}, {"folders"}, def}
	for i, s := range c.Pipeline {
		if !slices.Equal(s.Grant, want[i]) {
			t.Errorf("stage %d: granted %q, want %q", i, s.Grant, want[i])
		}
	}
}

func TestThePluginsConfigKeepsOrderAndTypes(t *testing.T) {
	c := load(t, `hostname: a.example
plugins: {p: ../plugin}
pipeline:
  - plugin: p
    config:
      z: ${hostname} & <b>
      a: [1, 0x1F, 0b11, 0o17, 017, 1_000, -3, +4, 12345678901234567890123, 1.50, 1e3, .5, yes, true, False, null, ~, 2026-11-24, "5"]
      1: {}
      on: |
        two
        lines
      ü: "\x01\u2028"
`)
	want := `{"z":"${hostname} & <b>","a":[1,31,3,15,15,1000,-3,4,12345678901234567890123,1.50,1e3,0.5,"yes",true,false,null,null,"2026-11-24","5"],"1":{},"on":"two\nlines\n","ü":"\u0001\u2028"}`
	if got := string(c.Pipeline[0].Config); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !json.Valid(c.Pipeline[0].Config) {
		t.Error("not JSON")
	}
}

func TestPlacesAreKeptForLaterChecks(t *testing.T) {
	c := load(t, `hostname: a.example
listen:
  smtp: [127.0.0.1:0, "127.0.0.1:1"]
plugins: {p: ../plugin}
domains:
  hamburger.edu: {deliver: mailbox}
pipeline:
  - plugin: p
    config: {footer: {text: x}}
`)
	for path, want := range map[string]Pos{
		"hostname":                       {1, 11},
		"listen.smtp[1]":                 {3, 23},
		`domains["hamburger.edu"]`:       {6, 18},
		"pipeline[0].config.footer.text": {9, 29},
		"pipeline[0].config.subject":     {9, 13},
		"pipeline[0].timeout":            {8, 5},
		"pipeline[7]":                    {8, 3},
		"relay.routes":                   {1, 1},
		"":                               {1, 1},
	} {
		if got := c.At(path); got != want {
			t.Errorf("%s is at %v, want %v", path, got, want)
		}
	}
	f := c.Finding(Key(Index("pipeline", 0), "config"), `unknown placeholder "%x"`, "see its README")
	if got, want := f.String(), `testdata/bad/test.yaml:9:13: pipeline[0].config: unknown placeholder "%x"; see its README`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSecretsDoNotShowThemselves(t *testing.T) {
	c := load(t, "hostname: a.example\nrelay: {routes: {\"*\": \"smtp://alice:hunter2@mx.example.org\"}}\n")
	if got := string(c.Relay.Routes[0].To.Password); got != "hunter2" {
		t.Errorf("the password is %q", got)
	}
	j, _ := json.Marshal(c)
	for _, shown := range []string{fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), string(j), c.Relay.Routes[0].To.String()} {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("shown: %s", shown)
		}
	}
	for _, value := range []string{
		"smtp://alice:hunter2 x@mx.example.org", "http://alice:hunter2@mx.example.org", "smtp://alice:hunter2@mx.example.org:0", "smtp://:hunter2@mx.example.org",
		"smtp://alice:hunter2@[mx]", "alice:hunter2@mx.example.org", "smtp://alice:hunter2@mx.example.org/?x",
	} {
		found := findingsOf("hostname: a.example\nrelay: {routes: {\"*\": \"" + value + "\"}}\n")
		if len(found) != 1 || strings.Contains(found[0], "hunter2") {
			t.Errorf("%s: %q", value, found)
		}
	}
}

func TestBothSpellingsOfAnInternationalDomainAreOne(t *testing.T) {
	load(t, "hostname: a.example\ndomains: {xn--mnchen-3ya.example: }\naccounts: {a@München.example: {password: $argon2id$x}}\n")
}

func TestADollarCanBeWritten(t *testing.T) {
	c := load(t, "hostname: a.example\ndomains: {a.example: }\naccounts: {a@a.example: {password: \"$argon2id$$${x}\"}}\n")
	if got, want := string(c.Accounts[0].Password), "$argon2id$${x}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFilesThatAreNotText(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"empty", "", "f:1:1: the file says nothing; begin with `hostname: mail.example.org`"},
		{"only comments", "# nothing\n", "f:1:1: the file says nothing; begin with `hostname: mail.example.org`"},
		{"only a mark", "---\n", "f:1:1: the file says nothing; begin with `hostname: mail.example.org`"},
		{"a word", "hello\n", "f:1:1: the file is text; begin with `hostname: mail.example.org`"},
		{"a NUL", "hostname: a\x00b\n", `f:1:12: control character U+0000; remove it, or write it as "\x.." in double quotes`},
		{"an escape", "hostname: a\n# \x1b[31m\n", `f:2:3: control character U+001B; remove it, or write it as "\x.." in double quotes`},
		{"Latin 1", "hostname: a\n# caf\xe9\n", "f:2:6: octet 0xE9 is not UTF-8; save the file as UTF-8"},
		{"UTF-16", "\xff\xfeh\x00", "f:1:1: the file is UTF-16; save it as UTF-8"},
		{"a Wasm module", "\x00asm\x01\x00\x00\x00", `f:1:1: control character U+0000; remove it, or write it as "\x.." in double quotes`},
		{"a document after the end", "hostname: a.example\n...\n---\nx: 1\n", "f:4:1: a second document begins here; one file is one configuration: put it into a file of its own"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := findingsOf(test.text); len(got) != 1 || got[0] != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestLineEndsAndByteOrderMarkDoNotMatter(t *testing.T) {
	text := "\ufeffhostname: a.example\r\nlimits:\r\n  errors: x\r\n"
	want := []string{"f:3:11: limits.errors: is text; write a whole number"}
	if diff := cmp.Diff(want, findingsOf(text)); diff != "" {
		t.Error(diff)
	}
	load(t, strings.Replace(text, ": x", ": 7", 1))
}

func TestHostileFilesAreRefusedSoon(t *testing.T) {
	bomb := "hostname: a.example\nplugins: {p: ../plugin}\na: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'z'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	head := "hostname: a.example\nplugins: {p: ../plugin}\npipeline:\n  - plugin: p\n    config: "
	tests := map[string]string{
		"aliases that multiply": bomb + "pipeline: [{plugin: p, config: {x: *y}}]\n",
		"brackets, ever deeper": head + "{a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}\n",
		"brackets, never ended": head + strings.Repeat("[", 500000),
		"a line of a megabyte":  "hostname: " + strings.Repeat("a", 1<<20-100) + "\n",
		"a key of a megabyte":   strings.Repeat("a", 1<<20-100) + ": b\n",
		"a name of a megabyte":  "hostname: a.example\nplugins: {" + strings.Repeat("a", 1<<20-100) + ": x}\n",
		"thousands of mistakes": "hostname: a.example\n" + strings.Repeat("x: 1\n", 100000),
		"an alias of itself":    head + "&x {a: *x}\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			got := findingsOf(text)
			if len(got) == 0 || len(got) > maxFindings+1 {
				t.Errorf("%d findings", len(got))
			}
			for _, f := range got {
				if len(f) > 1000 {
					t.Errorf("a finding of %d octets: %.200s…", len(f), f)
				}
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestLoopbackIsToldFromTheRest(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:25": true, "127.8.9.1:25": true, "[::1]:25": true, "localhost:25": true, "[::ffff:127.0.0.1]:25": true,
		":25": false, "0.0.0.0:25": false, "[::]:25": false, "192.0.2.1:25": false, ":0": false,
	} {
		c := load(t, "hostname: a.example\nlisten: {imap: [127.0.0.1:143], http: [\""+address+"\"]}\n")
		if got := c.Listen.LoopbackOnly(); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
}

func TestAnAddressThatCannotBeBoundHasItsCure(t *testing.T) {
	c := load(t, "hostname: a.example\nlisten: {smtp: [\":25\"]}\n")
	smtp := c.Listen.All()[0]
	for _, test := range []struct {
		err  error
		want string
	}{
		{syscall.EADDRINUSE, ":25 is taken; stop what listens there, or choose another port"},
		{syscall.EACCES, ":25 is not allowed to this user; choose a port above 1023, or give the program the right to bind (cap_net_bind_service)"},
		{syscall.EADDRNOTAVAIL, ":25 is not an address of this machine; write one that it has, or leave the host out for all of them"},
		{errors.New("no more files"), ":25 cannot be bound: no more files; choose another address"},
	} {
		err := &net.OpError{Op: "listen", Net: "tcp", Err: test.err}
		if got, want := c.ExplainListen(smtp, 0, err).String(), "testdata/bad/test.yaml:2:17: listen.smtp[0]: "+test.want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestFilesOfSecretsAndPluginsAreLookedAt(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "pipeline.yaml")
	write(t, filepath.Join(dir, "empty"), []byte("\r\n"))
	write(t, filepath.Join(dir, "large"), make([]byte, maxSecret+1))
	write(t, filepath.Join(dir, "weak"), []byte("$argon2id$weak\n"))
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, file, []byte(`hostname: a.example
domains: {a.example: }
accounts:
  a@a.example: {password: "file:empty"}
  b@a.example: {password: "file:large"}
  c@a.example: {password: "file:folder"}
  d@a.example: {password: "file:weak"}
plugins: {p: folder}
`))
	_, findings := Load(file, Options{Password: func(hash string) error { return errors.New("its cost is too low") }})
	var got []string
	for _, f := range findings {
		got = append(got, strings.TrimPrefix(f.String(), file+":"))
	}
	unreadable := "; make the file readable to the server, or name another one"
	want := []string{
		`4:27: accounts["a@a.example"].password: "empty" cannot be read: it is empty` + unreadable,
		`5:27: accounts["b@a.example"].password: "large" cannot be read: over 65536 octets` + unreadable,
		`6:27: accounts["c@a.example"].password: "folder" cannot be read: is a directory` + unreadable,
		`7:27: accounts["d@a.example"].password: is not a password hash: its cost is too low; put the account in with ` + "`mta account add`",
		`8:14: plugins.p: folder "folder" is empty; name a folder with a plugin's source`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFileThatIsTooLargeOrMissing(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		large:                large + ": the file is over 1048576 octets; name the file with --pipeline FILE",
		"testdata/none.yaml": "testdata/none.yaml: there is no such file; name the file with --pipeline FILE",
	} {
		if _, findings := Load(name, Options{}); findings.Error() != want {
			t.Errorf("got %q, want %q", findings, want)
		}
	}
}

func TestTakenAddressesAreFoundByBinding(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := load(t, fmt.Sprintf("hostname: a.example\nlisten:\n  smtp: [127.0.0.1:0]\n  imap: [\"%s\"]\n  http: [192.0.2.1:80]\n", taken.Addr()))
	var got []string
	for _, f := range c.CheckListen(context.Background()) {
		got = append(got, f.String())
	}
	want := []string{
		fmt.Sprintf("testdata/bad/test.yaml:4:10: listen.imap[0]: %s is taken; stop what listens there, or choose another port", taken.Addr()),
		"testdata/bad/test.yaml:5:10: listen.http[0]: 192.0.2.1:80 is not an address of this machine; write one that it has, or leave the host out for all of them",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheStateFolderIsReadFromAFileThatIsWrongElsewhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipeline.yaml")
	write(t, file, []byte("hostnam: x\nstate: here\npipeline: [{plugin: gone}]\n"))
	if got, err := State(file); got != filepath.Join(filepath.Dir(file), "here") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	write(t, file, []byte("hostname: a.example\n"))
	if got, err := State(file); got != filepath.Join(filepath.Dir(file), "var") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	write(t, file, []byte("state: [x]\n"))
	if _, err := State(file); err == nil || err.Error() != file+":1:8: state: is a list; write the path of a folder" {
		t.Errorf("got %v", err)
	}
}

func TestDoubleBounces(t *testing.T) {
	for _, tt := range []struct{ file, want string }{
		{"", ""},
		{"domains: {hamburger.edu: , crepes.fr: }\n", "postmaster@hamburger.edu"},
		{"domains: {hamburger.edu: }\npostmaster: '\"a b\"@example.org'\n", `"a b"@example.org`},
	} {
		if got := load(t, "hostname: mx.hamburger.edu\n"+tt.file).DoubleBounces().String(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.file, got, tt.want)
		}
	}
}
