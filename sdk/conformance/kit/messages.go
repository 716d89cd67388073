package kit

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// A Message is one to run the filter on.
type Message struct {
	Name   string
	Octets []byte
}

// Folder reads every message below a folder. Documents and licences that
// stand beside them are passed over.
func Folder(dir string) ([]Message, error) {
	var messages []Message
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if name := d.Name(); strings.HasSuffix(name, ".md") || strings.HasPrefix(name, "LICENSE") {
			return nil
		}
		octets, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		messages = append(messages, Message{Name: filepath.ToSlash(name), Octets: octets})
		return err
	})
	return messages, err
}

// Generate makes n messages: sound ones, odd ones and broken ones. The same
// seed makes the same messages on every machine.
func Generate(n int, seed uint64) []Message {
	g := &generator{rand.New(rand.NewPCG(seed, seed))}
	messages := make([]Message, n)
	for i := range messages {
		messages[i] = Message{Name: fmt.Sprintf("generated %d of seed %d", i, seed), Octets: []byte(g.message())}
	}
	return messages
}

type generator struct{ *rand.Rand }

// pick is one of the choices.
func pick[T any](g *generator, choices ...T) T { return choices[g.IntN(len(choices))] }

// some are up to n of the choices, any number of times each.
func (g *generator) some(n int, choices ...string) string {
	var b strings.Builder
	for range g.IntN(n + 1) {
		b.WriteString(pick(g, choices...))
	}
	return b.String()
}

func (g *generator) message() string {
	eol := pick(g, "\r\n", "\r\n", "\r\n", "\n")
	s := g.fields() + g.entity(3)
	if g.IntN(20) == 0 {
		s = "From alice@crepes.fr Mon Jan  1 00:00:00 2026\r\n" + s
	}
	if g.IntN(15) == 0 {
		s = s[:g.IntN(len(s)+1)]
	}
	return strings.ReplaceAll(s, "\r\n", eol)
}

// fields are what stands in a header section beside what MIME is about.
func (g *generator) fields() string {
	return g.some(6,
		"Received: from crepes.fr\r\n\tby hamburger.edu; Wed, 25 Nov 2026 10:00:00 +0000\r\n",
		"Subject: Do you like ketchup?\r\n",
		"subject: [list] again\r\n",
		"Subject: =?utf-8?q?Cr=C3=AApes?=\r\n =?utf-8?b?8J+lng==?= and\r\n\tmore\r\n",
		"Subject: =?iso-8859-1?q?cr=EApe?= =?x-unknown?q?=FF?=\r\n",
		"Subject: cr\xeapes in Latin-1\r\n",
		"Subject:\r\n",
		"SUBJECT : a blank before the colon\r\n",
		"From: J\u00fcrgen <j@example.org>\r\n",
		"To: bob@hamburger.edu,\r\n carol@example.org\r\n",
		"X-Long: "+strings.Repeat("word ", 60)+"\r\n",
		"X-Bare: a\rb\r\n",
		"DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=abc\r\n",
		"no field at all\r\n",
	)
}

// entity is the rest of a header section, and a body.
func (g *generator) entity(depth int) string {
	if depth == 0 {
		return g.leaf()
	}
	return pick(g, (*generator).leaf, (*generator).leaf, func(g *generator) string { return g.multipart(depth) },
		func(g *generator) string { return g.multipart(depth) }, func(g *generator) string { return g.nested(depth) })(g)
}

func (g *generator) leaf() string {
	head := pick(g,
		"",
		"Content-Type: text/plain; charset=utf-8\r\n",
		"Content-Type: TEXT/HTML; charset=\"iso-8859-1\"\r\nContent-Transfer-Encoding: quoted-printable\r\n",
		"Content-Type: text/plain; name*=utf-8''cr%C3%AApe.txt\r\nContent-Disposition: attachment\r\n",
		"Content-Type: text/csv; charset=us-ascii\r\nContent-Disposition: ATTACHMENT;\r\n filename=\"a b.csv\"\r\nContent-Transfer-Encoding: base64\r\n",
		"Content-Type: text/x-log\r\nContent-Disposition: attachment; filename=x.log\r\nContent-Transfer-Encoding: x-unknown\r\n",
		"Content-Disposition: attachment\r\n",
		"Content-Type: image/jpeg\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=crepe.jpg\r\n",
		"Content-Type: text/plain (comment); charset\r\nContent-Disposition: inline; filename=a.txt\r\n",
		"Content-Transfer-Encoding: 8bit\r\n",
	)
	body := g.some(5, "plain\r\n", "na\xefve\r\n", "Crêpes\r\n", "=C3=AA=\r\n", "/9j/4AAQSkZJRg==\r\n", "--\r\n", "--b\r\n", ".\r\n",
		"From me\r\n", "\r\n", strings.Repeat("long ", 300)+"\r\n", "bare\rCR\r\n", "\x00")
	return head + pick(g, "", "", "X-More: yes\r\n") + "\r\n" + body + pick(g, "", "the end")
}

func (g *generator) multipart(depth int) string {
	border := pick(g, "b", "bb", "=_x", "a b")
	var b strings.Builder
	fmt.Fprintf(&b, "Content-Type: multipart/%s;\r\n boundary=\"%s\"\r\n\r\n", pick(g, "mixed", "mixed", "alternative", "signed", "digest"), border)
	b.WriteString(pick(g, "", "preamble\r\n", "\r\n"))
	for range g.IntN(4) {
		b.WriteString("--" + border + pick(g, "", "", "  ") + "\r\n" + g.entity(depth-1) + "\r\n")
	}
	if g.IntN(4) > 0 {
		b.WriteString("--" + border + "--" + pick(g, "", "\r\n", "\r\nepilogue \xe9\r\n"))
	}
	return b.String()
}

func (g *generator) nested(depth int) string {
	return "Content-Type: message/rfc822\r\n\r\n" + g.fields() + g.entity(depth-1)
}
