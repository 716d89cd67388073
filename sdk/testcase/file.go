package testcase

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/wasmta/wasmta/sdk/host"
)

// Parse reads a case from a txtar archive. What stands before the first file
// is its comment. The files are:
//
//	config.yaml        the plugin's configuration (or config.json)
//	envelope           lines of `key: value`; see below
//	message.eml        the message
//	want               what comes of it, as Result.Text; needed
//	want.eml           the message afterwards; without it: as it was
//
// Keys of the envelope are from, to (one line for each recipient), client,
// client-name, helo, account, tls, listener, hostname, queue-id and now (as in
// 2026-11-24T10:00:00Z); what is left out has the value in [Defaults]. The
// listener lmtp lets each recipient have a reply of its own.
//
// Every line end of message.eml and want.eml is read as CRLF, whether the file
// has LF or CRLF there. For all other octets there are message.eml.quoted and
// want.eml.quoted: octets as in a Go string (\r \n \t \\ \xff), of which line
// ends of the file are no part.
func Parse(b []byte) (Case, error) {
	c := Case{Want: &Want{}}
	hasWant := false
	for _, f := range txtar.Parse(b).Files {
		var err error
		text := string(f.Data)
		switch f.Name {
		case "config.yaml", "config.json":
			c.Config = text
		case "envelope":
			err = c.envelope(text)
		case "message.eml":
			c.Message = []byte(crlf(text))
		case "message.eml.quoted":
			c.Message, err = unquote(text)
		case "want":
			hasWant, c.Want.Text = true, strings.ReplaceAll(text, "\r\n", "\n")
		case "want.eml":
			c.Want.Message = []byte(crlf(text))
		case "want.eml.quoted":
			c.Want.Message, err = unquote(text)
		default:
			err = fmt.Errorf("unknown; known are config.yaml, envelope, message.eml, want, want.eml")
		}
		if err != nil {
			return Case{}, fmt.Errorf("file %s: %w", f.Name, err)
		}
	}
	if !hasWant {
		return Case{}, fmt.Errorf("no file want: say at least `verdict: continue`")
	}
	return c.WithDefaults(), nil
}

// envelopeKeys set a field of a case each.
var envelopeKeys = map[string]func(c *Case, value string) error{
	"from": func(c *Case, v string) error { c.From = v; return nil },
	"to":   func(c *Case, v string) error { c.To = append(c.To, v); return nil },
	"client": func(c *Case, v string) (err error) {
		c.Context.Client.IP, err = netip.ParseAddr(v)
		return err
	},
	"client-name": func(c *Case, v string) error { c.Context.Client.PTR = v; return nil },
	"helo":        func(c *Case, v string) error { c.Context.Client.EHLO = v; return nil },
	"account":     func(c *Case, v string) error { c.Context.Auth = &host.Auth{Login: v}; return nil },
	"tls":         func(c *Case, v string) error { c.Context.TLS = &host.TLS{Version: v}; return nil },
	"listener": func(c *Case, v string) error {
		c.Context.Server.Listener, c.LMTP = v, v == "lmtp"
		return nil
	},
	"hostname": func(c *Case, v string) error { c.Context.Server.Name = v; return nil },
	"queue-id": func(c *Case, v string) error { c.Context.Queue.ID = v; return nil },
	"now": func(c *Case, v string) (err error) {
		c.Now, err = time.Parse(time.RFC3339, v)
		return err
	},
}

func (c *Case) envelope(text string) error {
	c.Context = Defaults.Context
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		key, value, _ := strings.Cut(line, ":")
		set, ok := envelopeKeys[strings.TrimSpace(key)]
		if !ok {
			return fmt.Errorf("unknown key %q", key)
		}
		if err := set(c, strings.TrimSpace(value)); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

func unquote(text string) ([]byte, error) {
	text = strings.NewReplacer("\r", "", "\n", "", `"`, `\"`).Replace(text)
	s, err := strconv.Unquote(`"` + text + `"`)
	return []byte(s), err
}

func quote(b []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(b) {
		s := strconv.QuoteToASCII(string(line))
		s = strings.ReplaceAll(s[1:len(s)-1], `\"`, `"`)
		out.WriteString(s + "\n")
	}
	return out.Bytes()
}

// Update is the archive b with what came of its case in place of what it
// wants.
func Update(b []byte, c *Case, r Result) []byte {
	a := txtar.Parse(b)
	files := a.Files[:0:0]
	for _, f := range a.Files {
		if !strings.HasPrefix(f.Name, "want") {
			files = append(files, f)
		}
	}
	files = append(files, txtar.File{Name: "want", Data: []byte(r.Text())})
	if r.LoadError == "" && !bytes.Equal(r.Message, c.Message) {
		f := txtar.File{Name: "want.eml", Data: bytes.ReplaceAll(r.Message, []byte("\r\n"), []byte("\n"))}
		if !bytes.Equal([]byte(crlf(string(f.Data))), r.Message) || !bytes.HasSuffix(f.Data, []byte("\n")) || !isPlain(f.Data) {
			f = txtar.File{Name: "want.eml.quoted", Data: quote(r.Message)}
		}
		files = append(files, f)
	}
	a.Files = files
	return txtar.Format(a)
}

// isPlain tells whether octets can be seen in a file.
func isPlain(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f || c >= 0x80 {
			return false
		}
	}
	return !bytes.Contains(b, []byte("\n-- "))
}

// crlf makes CRLF of each LF that has no CR before it.
func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

// Blocks are the fenced blocks of a document in Markdown that name a language.
func Blocks(document, language string) []string {
	var blocks []string
	inside := false
	for line := range strings.Lines(document) {
		switch {
		case !inside && strings.TrimSpace(line) == "```"+language:
			inside = true
			blocks = append(blocks, "")
		case inside && strings.TrimSpace(line) == "```":
			inside = false
		case inside:
			blocks[len(blocks)-1] += line
		}
	}
	return blocks
}
