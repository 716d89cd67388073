package dsn

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"io"
	"mime"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	"github.com/emersion/go-message/textproto"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	received = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	now      = received.Add(5 * time.Hour)
)

const crepe = "From: Alice <alice@crepes.fr>\r\nTo: bob@hamburger.edu\r\nSubject: Picture of yummy crepe.\r\n" +
	"Message-ID: <1@crepes.fr>\r\n\r\nDo you like\r\nthem?\r\n"

func path(s string) mail.Path {
	p, err := mail.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func report(rcpts ...Recipient) *Report {
	return &Report{
		ID:           "0DSN000000000001",
		Date:         now,
		ReportingMTA: "crepes.fr",
		To:           path("alice@crepes.fr"),
		Original:     "0MSG000000000001",
		Envelope:     mail.Envelope{ReversePath: path("alice@crepes.fr"), EnvID: "env+1"},
		Arrival:      received,
		Content:      mail.Bytes(crepe),
		Recipients:   rcpts,
	}
}

func recipient(to string, r mail.Result) Recipient {
	return Recipient{
		Recipient:   mail.Recipient{Path: path(to), Original: path(to)},
		Result:      r,
		Attempts:    9,
		LastAttempt: now,
		RetryUntil:  received.Add(5 * 24 * time.Hour),
	}
}

var (
	bounced = mail.Result{Outcome: mail.Bounced, NextHop: "mx.hamburger.edu:25", Code: 550, Enh: "5.1.1", Text: "<bob@hamburger.edu>: no such user here\nsee https://hamburger.edu/help", Peer: true}
	expired = mail.Result{Outcome: mail.Expired, NextHop: "[2001:db8::1]:25", Code: 451, Enh: "4.3.0", Text: "busy", Peer: true}
	refused = mail.Result{Outcome: mail.Deferred, NextHop: "mx.hamburger.edu:25", Code: 451, Enh: "4.4.1", Text: "connect to mx.hamburger.edu:25: connection refused"}
)

// parts reads a notification with another's parser.
func parts(t *testing.T, octets []byte) (header message.Header, types []string, bodies []string) {
	t.Helper()
	entity, err := message.Read(bytes.NewReader(octets))
	if err != nil {
		t.Fatalf("read: %v\n%s", err, octets)
	}
	mr := entity.MultipartReader()
	if mr == nil {
		t.Fatalf("not a multipart:\n%s", octets)
	}
	for {
		p, err := mr.NextPart()
		if err == io.EOF {
			return entity.Header, types, bodies
		}
		if err != nil {
			t.Fatalf("part: %v\n%s", err, octets)
		}
		mediaType, _, err := p.Header.ContentType()
		if err != nil {
			t.Fatalf("content type: %v", err)
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatalf("body: %v", err)
		}
		types, bodies = append(types, mediaType), append(bodies, string(body))
	}
}

func compose(t *testing.T, r *Report) (*Notification, []byte) {
	t.Helper()
	n := Compose(r)
	octets, err := mail.ReadAll(n.Content)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(octets)) != n.Content.Size() {
		t.Errorf("it has %d octets and says it has %d", len(octets), n.Content.Size())
	}
	again, err := mail.ReadAll(n.Content)
	if err != nil || !bytes.Equal(octets, again) {
		t.Errorf("opened again it is another")
	}
	if n.Body == mail.Body7Bit && mail.HasUTF8(string(octets)) {
		t.Error("BODY=7BIT with octets above 127")
	}
	for line := range strings.SplitSeq(string(octets), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("a bad line of %d octets: %.80q", len(line), line)
		}
	}
	return n, octets
}

// statusFields are the groups of fields of the second part.
func statusFields(t *testing.T, body string) []textproto.Header {
	t.Helper()
	var groups []textproto.Header
	for group := range strings.SplitSeq(strings.TrimRight(body, "\r\n"), "\r\n\r\n") {
		h, err := textproto.ReadHeader(bufio.NewReader(strings.NewReader(group + "\r\n\r\n")))
		if err != nil {
			t.Fatalf("fields: %v\n%s", err, body)
		}
		groups = append(groups, h)
	}
	return groups
}

// goldens are the notifications that have a file each, and what they say.
func goldens() map[string]golden {
	hidden := recipient("sales@hamburger.edu", bounced)
	hidden.Path = path("bob.private@gmail.example")
	hidden.ORCPT = "rfc822;Sales+2@hamburger.edu"
	inUTF8 := report(recipient("jürgen@bücher.example", bounced))
	inUTF8.Recipients[0].ORCPT = `utf-8;jürgen\back@bücher.example`
	inUTF8.Envelope.UTF8 = true
	inUTF8.Envelope.ReversePath = path("ælice@crepes.fr")
	inUTF8.To = inUTF8.Envelope.ReversePath
	inUTF8.Content = mail.Bytes(strings.Replace(crepe, "yummy crepe", "yummy crêpe", 1))
	escaped := report(recipient("jür+gen@bücher.example", mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "5.6.7", Text: "the next hop lacks SMTPUTF8 for jürgen"}))
	escaped.Recipients[0].ORCPT = "utf-8;jür+gen@bücher.example"
	encoded := report(recipient("jürgen@bücher.example", expired))
	encoded.Envelope.UTF8 = true
	encoded.Content = mail.Bytes(strings.Replace(crepe, "yummy crepe", "yummy crêpe", 1) + strings.Repeat("o", 900) + "\r\n")
	full := report(recipient("bob@hamburger.edu", bounced))
	full.Envelope.Ret = "FULL"
	full.Content = mail.Bytes(strings.Replace(crepe, "like", "l\xefke", 1))
	heads := report(recipient("bob@hamburger.edu", bounced))
	heads.Envelope.Ret = "HDRS"
	double := report(recipient("alice@crepes.fr", bounced))
	double.Envelope, double.To, double.Postmaster = mail.Envelope{Ret: "HDRS"}, path("postmaster@crepes.fr"), true
	never := recipient("bob@hamburger.edu", mail.Result{Outcome: mail.Expired, Code: 450, Enh: "4.4.1", Text: "mx.hamburger.edu has been down since yesterday"})
	never.Attempts = 0 // LastAttempt is that of another message then
	handedOn := mail.Result{Outcome: mail.Relayed, NextHop: "192.0.2.1:25", Code: 250, Enh: "2.0.0", Text: "Ok: queued", Peer: true}
	stored := mail.Result{Outcome: mail.Delivered, NextHop: "bob", Code: 250, Enh: "2.1.5"}
	return map[string]golden{
		"failed": {report(recipient("bob@hamburger.edu", bounced), recipient(`"a b"@hamburger.edu`, expired)),
			[]string{"failed 5.1.1 bob@hamburger.edu", `failed 4.4.7 "a b"@hamburger.edu`}},
		"hidden":    {report(hidden), []string{"failed 5.1.1 sales@hamburger.edu"}},
		"delayed":   {report(recipient("bob@hamburger.edu", refused)), []string{"delayed 4.4.1 bob@hamburger.edu"}},
		"delivered": {report(recipient("bob@hamburger.edu", stored)), []string{"delivered 2.1.5 bob@hamburger.edu"}},
		"relayed":   {report(recipient("bob@hamburger.edu", handedOn)), []string{"relayed 2.0.0 bob@hamburger.edu"}},
		"expanded":  {report(recipient("sales@hamburger.edu", mail.Result{Outcome: mail.Expanded})), []string{"expanded 2.0.0 sales@hamburger.edu"}},
		"several": {report(recipient("bob@hamburger.edu", handedOn), recipient("carol@hamburger.edu", stored), recipient("dave@hamburger.edu", bounced)),
			[]string{"failed 5.1.1 dave@hamburger.edu", "delivered 2.1.5 carol@hamburger.edu", "relayed 2.0.0 bob@hamburger.edu"}},
		"never":    {report(never), []string{"failed 4.4.7 bob@hamburger.edu"}},
		"utf8":     {inUTF8, []string{"failed 5.1.1 jürgen@bücher.example"}},
		"escaped":  {escaped, []string{`failed 5.6.7 jür+gen@bücher.example`}},
		"encoded":  {encoded, []string{"failed 4.4.7 jürgen@bücher.example"}},
		"full8bit": {full, []string{"failed 5.1.1 bob@hamburger.edu"}},
		"headers":  {heads, []string{"failed 5.1.1 bob@hamburger.edu"}},
		"double":   {double, []string{"failed 5.1.1 alice@crepes.fr"}},
	}
}

// A golden is a report and what readers are to find in its notification: for
// each recipient its action, status and address.
type golden struct {
	report *Report
	says   []string
}

func TestGolden(t *testing.T) {
	for name, g := range goldens() {
		r := g.report
		t.Run(name, func(t *testing.T) {
			n, octets := compose(t, r)
			parts(t, octets)
			got := regexp.MustCompile(`=_0DSN000000000001_[a-z0-9]{16}`).ReplaceAllString(string(octets), "BOUNDARY")
			got = "BODY=" + string(n.Body) + map[bool]string{true: " SMTPUTF8"}[n.UTF8] + "\n" + strings.ReplaceAll(got, "\r\n", "\n")
			file := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is another now (go test -update writes it anew):\n%s", file, got)
			}
		})
	}
}

func TestReadByAnother(t *testing.T) {
	rcpt := recipient("bob@hamburger.edu", bounced)
	rcpt.ORCPT = "rfc822;Bob@hamburger.edu"
	_, octets := compose(t, report(rcpt, recipient("carol@hamburger.edu", expired)))
	header, types, bodies := parts(t, octets)
	if got := strings.Join(types, " "); got != "text/plain message/delivery-status message/rfc822" {
		t.Errorf("parts are %s", got)
	}
	mediaType, params, _ := header.ContentType()
	if mediaType != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Errorf("it is %s %v", mediaType, params)
	}
	for name, want := range map[string]string{
		"To":             "<alice@crepes.fr>",
		"Auto-Submitted": "auto-replied",
		"Message-Id":     "<0DSN000000000001.dsn@crepes.fr>",
		"In-Reply-To":    "<1@crepes.fr>",
		"Mime-Version":   "1.0",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if bodies[2] != crepe {
		t.Errorf("the original came back as %q", bodies[2])
	}
	groups := statusFields(t, bodies[1])
	for i, want := range []map[string]string{
		{"Original-Envelope-Id": "env+1", "Reporting-Mta": "dns; crepes.fr", "Arrival-Date": "Wed, 04 Mar 2026 05:06:07 +0000"},
		{"Original-Recipient": "rfc822; Bob@hamburger.edu", "Final-Recipient": "rfc822; bob@hamburger.edu", "Action": "failed", "Status": "5.1.1", "Remote-Mta": "dns; mx.hamburger.edu",
			"Diagnostic-Code": "smtp; 550 5.1.1 <bob@hamburger.edu>: no such user here see https://hamburger.edu/help", "Last-Attempt-Date": "Wed, 04 Mar 2026 10:06:07 +0000", "Will-Retry-Until": ""},
		{"Final-Recipient": "rfc822; carol@hamburger.edu", "Action": "failed", "Status": "4.4.7", "Remote-Mta": "dns; [2001:db8::1]"},
	} {
		for name, value := range want {
			if got := groups[i].Get(name); got != value {
				t.Errorf("group %d, %s: got %q, want %q", i, name, got, value)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		name   string
		result mail.Result
		want   string
	}{
		{"the peer's", mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "5.7.1"}, "5.7.1"},
		{"none", mail.Result{Outcome: mail.Bounced, Code: 550}, "5.0.0"},
		{"of another class", mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "4.7.1"}, "5.0.0"},
		{"not one", mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "5.7.1\r\nX: y"}, "5.0.0"},
		{"expired", mail.Result{Outcome: mail.Expired, Code: 450, Enh: "4.2.0"}, "4.4.7"},
		{"delayed", mail.Result{Outcome: mail.Deferred, Enh: "4.2.0"}, "4.2.0"},
		{"delivered", mail.Result{Outcome: mail.Delivered}, "2.0.0"},
		{"unknown", mail.Result{}, "4.0.0"},
	} {
		r := recipient("bob@hamburger.edu", tt.result)
		if got := r.status(); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestUnderRequiredTLS(t *testing.T) {
	r := report(recipient("bob@hamburger.edu", bounced))
	r.Envelope.Ret, r.Envelope.RequireTLS = "FULL", true
	_, octets := compose(t, r)
	if _, types, _ := parts(t, octets); types[2] != "text/rfc822-headers" {
		t.Errorf("parts are %v", types)
	}
}

func TestHowMuchIsReturned(t *testing.T) {
	big := func(n int) mail.Content {
		return mail.Bytes(crepe + strings.Repeat("0123456789\r\n", n/12))
	}
	for _, tt := range []struct {
		name    string
		content mail.Content
		ret     string
		result  mail.Result
		want    string
	}{
		{"a small failure", mail.Bytes(crepe), "", bounced, "message/rfc822"},
		{"a large failure", big(100 << 10), "", bounced, "text/rfc822-headers"},
		{"a large failure, all asked for", big(100 << 10), "FULL", bounced, "message/rfc822"},
		{"a very large failure", big(11 << 20), "FULL", bounced, "text/rfc822-headers"},
		{"headers asked for", mail.Bytes(crepe), "HDRS", bounced, "text/rfc822-headers"},
		{"a delay, all asked for", mail.Bytes(crepe), "FULL", refused, "text/rfc822-headers"},
		{"a NUL in it", mail.Bytes(crepe + "\x00"), "FULL", bounced, "text/rfc822-headers"},
		{"a bare LF in it", mail.Bytes(crepe + "a\nb\r\n"), "FULL", bounced, "text/rfc822-headers"},
		{"a bare CR in it", mail.Bytes(crepe + "a\rb\r\n"), "FULL", bounced, "text/rfc822-headers"},
		{"a CR at its end", mail.Bytes(crepe + "a\r"), "FULL", bounced, "text/rfc822-headers"},
		{"a long line in it", mail.Bytes(crepe + strings.Repeat("a", 999) + "\r\n"), "FULL", bounced, "text/rfc822-headers"},
		{"a line just not too long", mail.Bytes(crepe + strings.Repeat("a", 998) + "\r\n"), "FULL", bounced, "message/rfc822"},
		{"no final line end", mail.Bytes(crepe + "end"), "FULL", bounced, "message/rfc822"},
		{"UTF-8 in the header section without SMTPUTF8", mail.Bytes("Subject: ü\r\n\r\nb\r\n"), "FULL", bounced, "message/global"},
		{"the top of that", mail.Bytes("Subject: ü\r\n\r\nb\r\n"), "HDRS", bounced, "text/rfc822-headers"},
		{"no blank line", mail.Bytes("Subject: a\r\n"), "", bounced, "message/rfc822"},
		{"empty", mail.Bytes(""), "", bounced, "message/rfc822"},
		{"gone", nil, "FULL", bounced, "text/rfc822-headers"},
		{"cannot be opened", broken{}, "FULL", bounced, "text/rfc822-headers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := report(recipient("bob@hamburger.edu", tt.result))
			r.Content, r.Envelope.Ret = tt.content, tt.ret
			_, octets := compose(t, r)
			_, types, bodies := parts(t, octets)
			if len(types) != 3 || types[2] != tt.want {
				t.Fatalf("parts are %v, want %s last", types, tt.want)
			}
			if strings.HasPrefix(tt.want, "message/") {
				if original, _ := mail.ReadAll(tt.content); bodies[2] != string(original) {
					t.Errorf("it came back as %.200q", bodies[2])
				}
			}
		})
	}
}

type broken struct{}

func (broken) Open() (io.ReadCloser, error) { return nil, errors.New("broken") }
func (broken) Size() int64                  { return 10 }

// FuzzCompose holds that nothing a peer or a sender says can begin a header
// field, a group of fields or a part of its own, and that what comes out has
// the form that SMTP and MIME ask for.
func FuzzCompose(f *testing.F) {
	f.Add("no such user", "5.1.1", "mx.example:25", "rfc822;bob@example.org", "env", crepe, "FULL", false)
	f.Add("a\r\n\r\n--x\r\nX: y", "5.1.1\r\nX: y", "mx\r\nX: y", "rfc822;a\r\nX: y", "e\r\nX: y", "A: b\nc\r\n", "HDRS", true)
	f.Add(strings.Repeat("ü", 3000), "", strings.Repeat("a", 3000), ";", "\x00", "Subject: \xff\r\n\r\n\xfe", "", true)
	f.Fuzz(func(t *testing.T, text, enh, hop, orcpt, envID, original, ret string, smtputf8 bool) {
		rcpt := recipient("bob@hamburger.edu", mail.Result{Outcome: mail.Bounced, NextHop: hop, Code: 550, Enh: enh, Text: text, Peer: true})
		rcpt.ORCPT = orcpt
		r := report(rcpt)
		r.Content, r.Envelope.EnvID, r.Envelope.Ret, r.Envelope.UTF8 = mail.Bytes(original), envID, ret, smtputf8
		if smtputf8 {
			r.To = path("ælice@crepes.fr")
		}
		_, octets := compose(t, r)
		header, types, bodies := parts(t, octets)
		if len(types) != 3 {
			t.Fatalf("%d parts:\n%s", len(types), octets)
		}
		if header.Has("X") || header.Len() > 12 {
			t.Errorf("a field was injected:\n%s", octets)
		}
		groups := statusFields(t, bodies[1])
		if len(groups) != 2 {
			t.Fatalf("%d groups of fields:\n%s", len(groups), bodies[1])
		}
		for _, g := range groups {
			if g.Has("X") {
				t.Errorf("a field was injected:\n%s", bodies[1])
			}
		}
		if !utf8.ValidString(bodies[0]) || !utf8.ValidString(bodies[1]) {
			t.Error("our own text is not UTF-8")
		}
		if _, err := (&mime.WordDecoder{}).DecodeHeader(header.Get("Subject")); err != nil {
			t.Error(err)
		}
	})
}
