package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-message"
)

// footer is the text that rewrite adds in these tests.
const footer = "Sent through hamburger.edu"

// TestOctets sends every message of the corpus and reads it over POP3 and over
// IMAP. Without stages each is as it was sent, to the octet; stamp adds its
// field and nothing else; what rewrite leaves is a message of the same parts.
func TestOctets(t *testing.T) {
	messages := corpus(t)
	const stamp = `plugins: {stamp: ROOT/plugins/stamp}
pipeline:
  - plugin: stamp
    config: {add: {X-Processed-By: "${hostname}"}}
`
	const all = `plugins: {stamp: ROOT/plugins/stamp, rewrite: ROOT/plugins/rewrite, route: ROOT/plugins/route}
pipeline:
  - plugin: stamp
    config: {add: {X-Processed-By: "${hostname}"}}
  - plugin: rewrite
    config: {footer: {text: "` + footer + `"}, subject: {prefix: "[EXT] "}}
  - plugin: route
    config:
      rules:
        - name: never
          if: {header: {Subject: "*no message of the corpus says this*"}}
          reject: no
`
	for _, tt := range []struct {
		name, stages string
		check        func(sent, got []byte) error
	}{
		{"without stages", "", same},
		{"with stamp", stamp, sameButForAField},
		{"with all stages", all, sameParts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Start(t, plain(t, tt.stages))
			sendAll(t, s, messages)
			inMailbox(t, s, len(messages))
			byPOP3, byIMAP := popAll(t, s, len(messages)), imapAll(t, s)
			for i, m := range messages {
				got := withoutTrace(t, m.name, byPOP3[i])
				if whole := withLineEnd(byIMAP[i]); !bytes.Equal(byPOP3[i], whole) {
					t.Errorf("%s: POP3 and IMAP differ: %s", m.name, difference(byPOP3[i], whole))
				}
				if err := tt.check(m.content, got); err != nil {
					t.Errorf("%s: %v", m.name, err)
				}
			}
			for _, e := range s.Events() {
				if e.Msg() == "plugin failed" {
					t.Errorf("plugin failed: %v", e)
				}
			}
			slowest(t, s)
		})
	}
}

// A corpusMessage is one from the world.
type corpusMessage struct {
	name    string
	content []byte // as it is sent: lines end in CRLF
}

// corpus reads the messages that lie beside the repository.
func corpus(t *testing.T) []corpusMessage {
	t.Helper()
	root := filepath.Join(Root(t), "../shared/corpus")
	var all []corpusMessage
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if ext := filepath.Ext(path); ext != ".eml" && ext != ".raw" {
			return nil
		}
		content, err := os.ReadFile(path)
		if content = transportable(content); len(content) > 0 {
			all = append(all, corpusMessage{path[len(root)+1:], content})
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no corpus of messages beside the repository, in ../shared/corpus")
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// transportable is content as SMTP takes it: each line ends in CRLF, and there
// is no NUL (RFC 5321 §2.3.8, RFC 5322 §2.3).
func transportable(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	b = bytes.ReplaceAll(b, []byte{0}, []byte("0"))
	if len(b) > 0 && !bytes.HasSuffix(b, []byte("\r\n")) {
		b = append(b, "\r\n"...)
	}
	return b
}

// sendAll sends messages over one session, message i to bob+i: they may be
// delivered in another order. Every second one goes by BDAT.
func sendAll(t *testing.T, s *Server, messages []corpusMessage) {
	t.Helper()
	c := smtpDial(t, s.Addr("smtp"))
	for i, m := range messages {
		c.say(250, "MAIL FROM:<alice@crepes.fr> BODY=8BITMIME")
		c.say(250, "RCPT TO:<bob+%d@hamburger.edu>", i)
		if i%2 == 0 {
			fmt.Fprintf(c.text.W, "BDAT %d LAST\r\n", len(m.content))
			c.text.W.Write(m.content)
		} else {
			c.say(354, "DATA")
			c.text.W.Write(stuffed(m.content))
			c.text.W.WriteString(".\r\n")
		}
		if err := c.text.W.Flush(); err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		c.want(250)
	}
	c.say(221, "QUIT")
}

// stuffed is content of lines as DATA has it (RFC 5321 §4.5.2).
func stuffed(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n."), []byte("\r\n.."))
	if b[0] == '.' {
		b = append([]byte("."), b...)
	}
	return b
}

// popAll reads bob's mailbox, in the order in which it was sent.
func popAll(t *testing.T, s *Server, n int) [][]byte {
	t.Helper()
	c := popLogin(t, s.Addr("pop3"), "bob@hamburger.edu")
	defer c.Close()
	all := make([][]byte, n)
	for i := range n {
		c.cmd("RETR %d", i+1)
		place(t, all, popOctets(t, c))
	}
	c.cmd("QUIT")
	return all
}

// popOctets reads the rest of a reply to RETR, and leaves every octet of it as
// it is.
func popOctets(t *testing.T, c *popClient) []byte {
	t.Helper()
	content := []byte("\r\n")
	for !bytes.HasSuffix(content, []byte("\r\n.\r\n")) {
		line, err := c.text.R.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		content = append(content, line...)
	}
	content = content[:len(content)-len(".\r\n")]
	return bytes.ReplaceAll(content, []byte("\r\n.."), []byte("\r\n."))[2:]
}

// imapAll reads bob's mailbox, in the order in which it was sent.
func imapAll(t *testing.T, s *Server) [][]byte {
	t.Helper()
	c, err := imapclient.DialInsecure(s.Addr("imap"), &imapclient.Options{TLSConfig: &tls.Config{}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("bob@hamburger.edu", "ketchup").Wait(); err != nil {
		t.Fatal(err)
	}
	box, err := c.Select("INBOX", nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	section := &imap.FetchItemBodySection{Peek: true}
	var everything imap.SeqSet
	everything.AddRange(1, box.NumMessages)
	got, err := c.Fetch(everything, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]byte, box.NumMessages)
	for _, m := range got {
		place(t, all, m.FindBodySection(section))
	}
	return all
}

// withLineEnd ends the last line, as POP3 has to. Only an edited message may
// lack it: where the last part of a multipart has no delimiter behind it.
func withLineEnd(b []byte) []byte {
	if bytes.HasSuffix(b, []byte("\r\n")) {
		return b
	}
	return append(bytes.Clone(b), "\r\n"...)
}

var deliveredTo = regexp.MustCompile(`(?m)^Delivered-To: bob\+(\d+)@hamburger\.edu\r$`)

// place puts a message where its recipient's number says.
func place(t *testing.T, all [][]byte, content []byte) {
	t.Helper()
	number := deliveredTo.FindSubmatch(content)
	if number == nil {
		t.Fatalf("no number in %.300q", content)
	}
	if i, _ := strconv.Atoi(string(number[1])); i < len(all) && all[i] == nil {
		all[i] = content
		return
	}
	t.Fatalf("message %s a second time", number[1])
}

var trace = regexp.MustCompile(`^Return-Path: <alice@crepes\.fr>\r\nDelivered-To: [^\r\n]*\r\nReceived: [^\r\n;]*\r\n([ \t][^\r\n;]*\r\n)*[ \t][^\r\n]*;\r\n[ \t][^\r\n]*\r\n`)

// withoutTrace takes off the fields that this server puts on top.
func withoutTrace(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	top := trace.Find(content)
	if top == nil {
		t.Errorf("%s: no trace on top: %.400q", name, content)
	}
	return content[len(top):]
}

func same(sent, got []byte) error {
	if !bytes.Equal(sent, got) {
		return errors.New(difference(sent, got))
	}
	return nil
}

// sameButForAField is for what stamp does. Where nothing in the message is a
// header section, the field comes with the empty line that ends one.
func sameButForAField(sent, got []byte) error {
	field := []byte("X-Processed-By: hamburger.edu\r\n")
	before, after, found := bytes.Cut(got, field)
	if !found {
		return errors.New("the field is missing")
	}
	if len(before) == 0 && len(after) == len(sent)+2 {
		sent = append([]byte("\r\n"), sent...)
	}
	return same(sent, append(bytes.Clone(before), after...))
}

// sameParts is for what rewrite does: each part is still there, of the same
// type, and none but the text has changed.
func sameParts(sent, got []byte) error {
	before, err := parts(sent)
	if err != nil {
		return nil // broken before
	}
	after, err := parts(got)
	if err != nil {
		return fmt.Errorf("was a good message: %w", err)
	}
	if len(before) != len(after) {
		return fmt.Errorf("%d parts became %d", len(before), len(after))
	}
	for i := range before {
		if before[i].kind != after[i].kind {
			return fmt.Errorf("part %d: %s became %s", i, before[i].kind, after[i].kind)
		}
		if bytes.Equal(before[i].body, after[i].body) {
			continue
		}
		if !strings.HasPrefix(before[i].kind, "text/") || !bytes.Contains(after[i].body, []byte(footer)) {
			return fmt.Errorf("part %d (%s): %s", i, before[i].kind, difference(before[i].body, after[i].body))
		}
	}
	return nil
}

type corpusPart struct {
	kind string
	body []byte // decoded
}

// parts reads a message with a parser that is not ours.
func parts(content []byte) (all []corpusPart, err error) {
	m, err := message.Read(bytes.NewReader(content))
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return nil, err
	}
	err = m.Walk(func(_ []int, e *message.Entity, err error) error {
		if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return err
		}
		kind, _, _ := e.Header.ContentType()
		p := corpusPart{kind: strings.ToLower(kind)}
		if !strings.HasPrefix(p.kind, "multipart/") {
			p.body, err = io.ReadAll(e.Body)
		}
		all = append(all, p)
		return err
	})
	return all, err
}

// difference tells where two contents begin to differ.
func difference(want, got []byte) string {
	i := 0
	for i < len(want) && i < len(got) && want[i] == got[i] {
		i++
	}
	cut := func(b []byte) []byte { return b[max(0, i-40):min(len(b), i+40)] }
	return fmt.Sprintf("from octet %d on: %q of %d octets became %q of %d", i, cut(want), len(want), cut(got), len(got))
}

// slowest tells how long the stages took. The machine may be busy, so that
// only a stage's timeout fails the test.
func slowest(t *testing.T, s *Server) {
	t.Helper()
	family := metricsOf(t, s)["mta_stage_seconds"]
	for _, m := range family.GetMetric() {
		h := m.GetHistogram()
		within := 0.0
		for _, b := range h.GetBucket() {
			if b.GetCumulativeCount() == h.GetSampleCount() {
				within = b.GetUpperBound()
				break
			}
		}
		t.Logf("stage %s: %d messages, %.2f ms on average, all within %v", m.GetLabel()[0].GetValue(), h.GetSampleCount(),
			h.GetSampleSum()/float64(h.GetSampleCount())*1000, time.Duration(within*float64(time.Second)))
	}
}
