package host

import (
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

func input(f *fake) Input {
	return Input{
		Hook:   abi.HookMessage,
		Grants: abi.AllGrants,
		Sender: "alice@crepes.fr",
		Recipients: []Recipient{
			{Address: "bob@hamburger.edu", Original: "Bob@hamburger.edu", ORCPT: "rfc822;bob@hamburger.edu", Notify: "NEVER"},
			{Address: "carol@hamburger.edu", Original: "carol@hamburger.edu"},
		},
		Notes: map[string]string{"score": "3"},
		Open:  func() (Message, error) { return f, nil },
	}
}

func addresses(rs []Recipient) string {
	var s []string
	for _, r := range rs {
		s = append(s, r.Address)
	}
	return strings.Join(s, " ")
}

func TestCommitHasTheChanges(t *testing.T) {
	f := newFake("From: alice", "Subject: hi")
	c := New(input(f))
	for _, e := range []abi.Errno{
		c.SenderSet("dave@crepes.fr"),
		c.RcptSet(1, "robert@hamburger.edu"),
		c.RcptRemove(2),
		c.HdrInsert(0, 0, "X-A", "b"),
		c.HdrSet(0, 2, "ho"),
		c.NoteSet(abi.ScopeTransaction, "score", "4"),
		c.Quarantine("odd"),
		c.Deliver(1, "", "Lists/go", `\Seen $Junk`),
	} {
		if e != abi.OK {
			t.Fatal(e)
		}
	}
	if id := c.RcptAdd("erin@hamburger.edu"); id != 3 {
		t.Fatalf("the new recipient has ID %d", id)
	}
	if e := c.Route(3, "mx.example.net", 2525, abi.RouteRequireTLS); e != abi.OK {
		t.Fatal(e)
	}
	ch := c.Commit()
	if !ch.SenderSet || ch.Sender != "dave@crepes.fr" || !ch.RecipientsSet || !ch.Edited || ch.Hold != "odd" || ch.Notes["score"] != "4" {
		t.Errorf("got %+v", ch)
	}
	want := []Recipient{
		{Address: "robert@hamburger.edu", Original: "Bob@hamburger.edu", ORCPT: "rfc822;bob@hamburger.edu", Notify: "NEVER",
			Deliver: &Target{Folder: "Lists/go", Flags: `\Seen $Junk`}},
		{Address: "erin@hamburger.edu", Original: "erin@hamburger.edu", Origin: -1,
			Route: &Route{Host: "mx.example.net", Port: 2525, RequireTLS: true}},
	}
	if !reflect.DeepEqual(ch.Recipients, want) {
		t.Errorf("got %+v, want %+v", ch.Recipients, want)
	}
	if got, want := f.String(), "X-A: b\r\nFrom: alice\r\nSubject: ho\r\n\r\nbody"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRollbackLeavesNothing(t *testing.T) {
	f := newFake("From: alice", "X-A: b")
	in := input(f)
	before, notes := f.String(), maps.Clone(in.Notes)
	c := New(in)
	c.SenderSet("")
	c.RcptRemove(1)
	c.HdrInsert(0, 0, "X-C", "d")
	c.HdrRemoveAll(0, "x-a")
	b := c.BlobNew()
	c.BlobWrite(b, []byte("new"))
	c.PartReplace(0, "text/plain", b)
	c.NoteSet(abi.ScopeTransaction, "score", "4")
	if e := c.MsgReplace(b); e != abi.OK {
		t.Fatal(e)
	}
	if got := c.HdrFind(0, "Replaced", 0); got != 0 {
		t.Errorf("msg_replace did not take: %d", got)
	}
	c.Rollback()
	if got := f.String(); got != before {
		t.Errorf("got %q, want %q", got, before)
	}
	if !maps.Equal(in.Notes, notes) || addresses(in.Recipients) != "bob@hamburger.edu carol@hamburger.edu" {
		t.Errorf("the input changed: %v %v", in.Notes, in.Recipients)
	}
}

func TestMessageIsNotOpenedUnlessNeeded(t *testing.T) {
	in := input(nil)
	opened := 0
	in.Open = func() (Message, error) { opened++; return nil, errors.New("disk on fire") }
	c := New(in)
	c.SenderGet()
	c.RcptAdd("erin@hamburger.edu")
	if opened != 0 {
		t.Error("opened for the envelope")
	}
	for range 2 {
		if got := c.HdrCount(0); got != int32(abi.IO) {
			t.Errorf("got %d, want %d", got, abi.IO)
		}
	}
	if opened != 1 {
		t.Errorf("opened %d times", opened)
	}
	if ch := c.Commit(); ch.Message != nil || ch.Edited {
		t.Errorf("got %+v", ch)
	}
	in.Open = nil
	if got := New(in).MsgSize(); got != int64(abi.WrongStage) {
		t.Errorf("a hook without a message: got %d, want %d", got, abi.WrongStage)
	}
}

func TestRecipients(t *testing.T) {
	c := New(input(newFake()))
	if got := c.RcptAt(1); got != 2 {
		t.Errorf("got ID %d, want 2", got)
	}
	c.RcptRemove(1)
	if c.RcptCount() != 1 || c.RcptAt(0) != 2 || c.RcptAt(1) != int32(abi.NotFound) || c.RcptAt(-1) != int32(abi.NotFound) {
		t.Error("IDs move when a recipient goes")
	}
	for _, id := range []int32{-1, 0, 1, 9} {
		if e := c.RcptSet(id, "a@b.c"); e != abi.NotFound {
			t.Errorf("ID %d: got %v", id, e)
		}
	}
	if got := c.RcptAdd("carol@HAMBURGER.edu"); got != 2 {
		t.Errorf("an address that is there already has ID %d, want 2", got)
	}
	for field, want := range map[int32]string{abi.RcptAddress: "carol@hamburger.edu", abi.RcptNotify: ""} {
		if got, e := c.RcptGet(2, field); got != want || e != abi.OK {
			t.Errorf("field %d: got %q, %v", field, got, e)
		}
	}
	if _, e := c.RcptGet(2, 99); e != abi.BadArg {
		t.Errorf("field 99: got %v", e)
	}
}

// TestBadText holds what strings from a plugin may not have.
func TestBadText(t *testing.T) {
	for _, bad := range []string{"a\rb", "a\nb", "a\x00b", "a\r\nb@c.d"} {
		c := New(input(newFake("Subject: hi")))
		for name, e := range map[string]abi.Errno{
			"sender":          c.SenderSet(bad),
			"recipient":       abi.Errno(c.RcptAdd(bad)),
			"other recipient": c.RcptSet(1, bad),
			"reply":           c.Reply(550, "5.7.1", bad),
			"enhanced code":   c.Reply(550, bad, "no"),
			"field name":      c.HdrInsert(0, 0, bad, "x"),
			"field":           c.HdrInsert(0, 0, "X", bad),
			"value":           c.HdrSet(0, 0, bad),
			"raw field":       c.HdrInsertRaw(0, 0, "X: "+bad),
			"host":            c.Route(1, bad, 0, 0),
			"mailbox":         c.Deliver(1, bad, "", ""),
			"folder":          c.Deliver(1, "", bad, ""),
			"flags":           c.Deliver(1, "", "", bad),
			"reason":          c.Quarantine(bad),
			"type":            abi.Errno(c.PartWrap(0, "multipart/mixed; "+bad)),
			"note's key":      c.NoteSet(abi.ScopeTransaction, bad, ""),
		} {
			if e != abi.BadArg {
				t.Errorf("%s %q: got %v, want %v", name, bad, e, abi.BadArg)
			}
		}
	}
}

func TestRawFields(t *testing.T) {
	for field, want := range map[string]abi.Errno{
		"X: a":                  abi.OK,
		"X: a\r\n":              abi.OK,
		"X: a\r\n b\r\n\tc\r\n": abi.OK,
		"X:":                    abi.OK,
		"X: a\r\nY: b\r\n":      abi.BadArg, // two fields
		"X: a\r\n\r\n":          abi.BadArg, // the end of the header section
		"X: a\r\n \r\n":         abi.BadArg, // a line of blanks alone
		"X: a\r\n\r\nb":         abi.BadArg,
		"no colon":              abi.BadArg,
		": no name":             abi.BadArg,
		"X Y: blank":            abi.BadArg,
		"Ü: name":               abi.BadArg,
		"":                      abi.BadArg,
	} {
		if got := New(input(newFake())).HdrInsertRaw(0, 0, field); got != want {
			t.Errorf("%q: got %v, want %v", field, got, want)
		}
	}
}

func TestRefusedArguments(t *testing.T) {
	c := New(input(newFake()))
	for name, e := range map[string]abi.Errno{
		"no address":              c.SenderSet("a@"),
		"folder above":            c.Deliver(1, "", "../x", ""),
		"folder without a name":   c.Deliver(1, "", "a//b", ""),
		"flag with a bracket":     c.Deliver(1, "", "", "a(b"),
		"no host":                 c.Route(1, "", 0, 0),
		"host with a port":        c.Route(1, "a b", 0, 0),
		"port":                    c.Route(1, "a", 65536, 0),
		"flags":                   c.Route(1, "a", 0, 8),
		"positive reply":          c.Reply(250, "", ""),
		"code of four digits":     c.Reply(5500, "", ""),
		"class of enhanced code":  c.Reply(550, "4.7.1", ""),
		"enhanced code":           c.Reply(550, "5.7", ""),
		"enhanced code, four":     c.Reply(550, "5.7.1.1", ""),
		"enhanced code, too long": c.Reply(550, "5.7.1000", ""),
		"bad UTF-8":               c.Reply(550, "", "\xff"),
		"negative offset":         abi.Errno(c.MsgRead(-1, nil)),
		"negative offset in part": abi.Errno(c.PartRead(0, 0, -1, nil)),
		"scope":                   c.NoteSet(9, "a", ""),
		"no key":                  c.NoteSet(abi.ScopeTransaction, "", ""),
	} {
		if e != abi.BadArg {
			t.Errorf("%s: got %v, want %v", name, e, abi.BadArg)
		}
	}
}

func TestMsgReplaceTakesLinesWithCRLFOnly(t *testing.T) {
	for octets, want := range map[string]abi.Errno{
		"Subject: hi\r\n\r\nbody\r\n": abi.OK,
		"Subject: hi\n\nbody\n":       abi.BadArg,
		"Subject: hi\r\n\r\nbo\rdy":   abi.BadArg,
		"Subject: hi\r\n\r\nbody\r":   abi.BadArg,
		"\nSubject: hi\r\n":           abi.BadArg,
		"Subject: \x00\r\n":           abi.BadArg,
		"":                            abi.BadArg,
	} {
		c := New(input(newFake()))
		b := c.BlobNew()
		c.BlobWrite(b, []byte(octets))
		if got := c.MsgReplace(b); got != want {
			t.Errorf("%q: got %v, want %v", octets, got, want)
		}
	}
}

func TestAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   int32 // of reply; zero: none
		result int32
		bad    bool
	}{
		{"continue", 0, 0, false},
		{"not again", 0, 7, false},
		{"reject with 550", 550, 2, false},
		{"reject with 450", 450, 2, true},
		{"reject with 521", 521, 2, true},
		{"defer with 451", 451, 3, false},
		{"defer with 550", 550, 3, true},
		{"defer with 421", 421, 3, true},
		{"disconnect with 421", 421, 6, false},
		{"continue with 550", 550, 0, true},
		{"discard with 550", 550, 4, true},
		{"eight", 0, 8, true},
		{"minus one", 0, -1, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(input(newFake()))
			if tt.code != 0 {
				if e := c.Reply(tt.code, "", "no"); e != abi.OK {
					t.Fatal(e)
				}
			}
			a, err := c.Answer(tt.result)
			if (err != nil) != tt.bad || err != nil && !errors.Is(err, ErrVerdict) {
				t.Errorf("got %+v, %v", a, err)
			}
		})
	}
	c := New(input(newFake()))
	c.Reply(550, "", "no")
	c.Reply(0, "", "")
	if a, err := c.Answer(0); err != nil || a.Reply != nil {
		t.Errorf("a reply that was taken back: got %+v, %v", a, err)
	}
}

func TestContext(t *testing.T) {
	in := input(nil)
	in.Context = Context{
		Plugin: "stamp",
		Client: Client{IP: netip.MustParseAddr("192.0.2.1"), Port: 25, PTR: "mx.crepes.fr", EHLO: "crepes.fr"},
		Auth:   &Auth{Login: "alice"}, TLS: &TLS{Version: "TLSv1.3", Cipher: "X"},
		Server:   Server{Name: "hamburger.edu", IP: netip.MustParseAddr("192.0.2.2"), Port: 587, Listener: "submission"},
		Queue:    Queue{ID: "ABC", Attempts: 2, Received: time.Date(2026, 11, 24, 11, 0, 0, 0, time.FixedZone("", 3600))},
		Envelope: Envelope{Body: "8BITMIME", UTF8: true, Ret: "HDRS", EnvID: "e"},
	}
	c := New(in)
	for key := range contextKeys {
		s, e := c.CtxGet(key)
		if known := key != "/queue/attempts"; known != (s != "") || known != (e == abi.OK) {
			t.Errorf("%s: got %q, %v", key, s, e)
		}
		in.Context = Context{}
		if s, e := New(in).CtxGet(key); key != "/stage" && (s != "" || e != abi.NotFound) {
			t.Errorf("%s that is not known: got %q, %v", key, s, e)
		}
	}
	if s, _ := c.CtxGet("/stage"); s != "message" {
		t.Errorf("the stage is %q", s)
	}
	if _, e := c.CtxGet("/no/such"); e != abi.NotFound {
		t.Errorf("got %v", e)
	}
	b, e := c.CtxJSON()
	want := `{"stage":"message","client":{"ip":"192.0.2.1","port":25,"ptr":"mx.crepes.fr","ehlo":"crepes.fr"},"auth":{"login":"alice"},` +
		`"tls":{"version":"TLSv1.3","cipher":"X"},"server":{"name":"hamburger.edu","ip":"192.0.2.2","port":587,"listener":"submission"},` +
		`"queue":{"id":"ABC","attempts":2,"received":"2026-11-24T11:00:00+01:00"},"envelope":{"body":"8BITMIME","utf8":true,"ret":"HDRS","envid":"e"},"plugin":"stamp"}`
	if string(b) != want || e != abi.OK {
		t.Errorf("got %s, %v, want %s", b, e, want)
	}
}

func TestAttemptsAreKnownAfterTheQueue(t *testing.T) {
	route, later := input(nil), input(nil)
	route.Hook, later.AfterQueue = abi.HookRoute, true
	for _, in := range []Input{route, later} {
		if s, e := New(in).CtxGet("/queue/attempts"); s != "0" || e != abi.OK {
			t.Errorf("%s: got %q, %v", in.Hook, s, e)
		}
	}
}

func TestHas(t *testing.T) {
	in := input(nil)
	in.Grants = abi.DefaultGrants
	c := New(in)
	for name, want := range map[string]int32{
		"hdr_insert": 1, "kv_get": 0, "send": 0, "no_such": 0, "": 0, "org.wasmta.address.normalize": 1,
	} {
		if got := c.Has(name); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
}

func TestTime(t *testing.T) {
	in := input(nil)
	now := time.UnixMilli(1_800_000_000_000)
	in.Now = func() time.Time { return now }
	if got := New(in).DeadlineMS(); got != 1<<31-1 {
		t.Errorf("without a deadline: got %d", got)
	}
	in.Deadline = now.Add(1500 * time.Millisecond)
	c := New(in)
	if got := c.DeadlineMS(); got != 1500 {
		t.Errorf("got %d", got)
	}
	now = now.Add(time.Minute)
	if got := c.DeadlineMS(); got != 0 {
		t.Errorf("after the deadline: got %d", got)
	}
	if got := c.NowMS(); got != 1_800_000_060_000 {
		t.Errorf("got %d", got)
	}
}

func TestCheckPath(t *testing.T) {
	for s, ok := range map[string]bool{
		"a@b.c": true, `"a b"@c.d`: true, "postmaster": true, "a@[192.0.2.1]": true, "ü@ö.example": true,
		"": false, "a@": false, "@b": false, "a b@c": false, "a@b@c": false, "a..b@c": false, "a@b..c": false,
		"<a@b>": false, "a,b@c": false, "a@b c": false, "\xff@b": false,
	} {
		if _, err := CheckPath(s); (err == nil) != ok {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func FuzzCall(f *testing.F) {
	f.Add("X-A", "b", "a@b.c", "X: a\r\n b")
	f.Add("X\r\n", "\x00", "<>", "X: a\r\n\r\nb")
	f.Fuzz(func(t *testing.T, name, value, address, raw string) {
		m := newFake("Subject: hi")
		c := New(input(m))
		c.HdrInsert(0, 0, name, value)
		c.HdrInsertRaw(0, 0, raw)
		c.HdrSet(0, 0, value)
		c.SenderSet(address)
		c.RcptAdd(address)
		c.Reply(550, "", value)
		head, body, _ := strings.Cut(m.String(), "\r\n\r\n")
		if body != "body" {
			t.Errorf("a field ends the header section: %q", m.String())
		}
		for line := range strings.SplitSeq(head, "\r\n") {
			if line == "" || hasLineBreak(line) || !strings.Contains(line, ":") && line[0] != ' ' && line[0] != '\t' {
				t.Errorf("bad line %q", line)
			}
		}
		ch := c.Commit()
		if strings.ContainsAny(ch.Sender+addresses(ch.Recipients), "\r\n\x00") {
			t.Errorf("bad address: %q, %q", ch.Sender, addresses(ch.Recipients))
		}
		if r := c.GivenReply(); r != nil && hasControl(r.Text) {
			t.Errorf("bad reply: %q", r.Text)
		}
	})
}
