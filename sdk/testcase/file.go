package testcase

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// Parse reads a case from a txtar archive. What stands before the first file
// is its comment. The files are:
//
//	config.yaml        the plugin's configuration (or config.json)
//	envelope           lines of `key: value`; see below
//	message.eml        the message
//	kv                 what the plugin's store has before: lines of `key=value`
//	dns                records that there are: lines of `name type data`;
//	                   the data !timeout is an answer that does not come
//	want               what comes of it, as Result.Text; needed
//	want.eml           the message afterwards; without it: as it was
//	want-variant-1.eml the message of the first variant, and so on
//	want-send-1.eml    the first message that the plugin sends, and so on
//
// Keys of the envelope are hook (as in on_rcpt), from, to (one line for each
// recipient), client, client-name, helo, account, tls, listener, hostname,
// queue-id, attempts, received and now (as in 2026-11-24T10:00:00Z);
// session-note, note and queued-note (as in key=value); and for the recipient
// above them original, orcpt, notify, resolved, status and last-reply. What is
// left out has the value in [Defaults].
//
// Every line end of a file .eml is read as CRLF, whether the archive has LF or
// CRLF there. For all other octets each has a twin .eml.quoted: octets as in a
// Go string (\r \n \t \\ \xff), of which line ends of the file are no part.
func Parse(b []byte) (Case, error) {
	c := Case{Want: &Want{}}
	hasWant := false
	for _, f := range txtar.Parse(b).Files {
		if err := c.file(f.Name, string(f.Data)); err != nil {
			return Case{}, fmt.Errorf("file %s: %w", f.Name, err)
		}
		hasWant = hasWant || f.Name == "want"
	}
	if !hasWant {
		return Case{}, fmt.Errorf("no file want: say at least `verdict: continue`")
	}
	return c.WithDefaults(), nil
}

// file takes one file of an archive.
func (c *Case) file(name, text string) error {
	switch name {
	case "config.yaml", "config.json":
		c.Config = text
		return nil
	case "envelope":
		return c.envelope(text)
	case "kv":
		return c.keys(text)
	case "dns":
		return c.records(text)
	case "want":
		c.Want.Text = strings.ReplaceAll(text, "\r\n", "\n")
		return nil
	}
	octets, which, err := message(name, text)
	switch {
	case err != nil:
		return err
	case which == "message":
		c.Message = octets
	case which == "want":
		c.Want.Message = octets
	default:
		if c.Want.Others == nil {
			c.Want.Others = map[string][]byte{}
		}
		c.Want.Others[strings.TrimPrefix(which, "want-")] = octets
	}
	return nil
}

// message reads the file of a message; which is its name without the ending.
func message(name, text string) (octets []byte, which string, err error) {
	which, quoted := strings.CutSuffix(name, ".quoted")
	which, ok := strings.CutSuffix(which, ".eml")
	if !ok || which != "message" && which != "want" && !isOther(strings.TrimPrefix(which, "want-")) {
		return nil, "", fmt.Errorf("unknown; known are config.yaml, envelope, message.eml, kv, dns, want, want.eml, want-variant-1.eml, want-send-1.eml")
	}
	if quoted {
		octets, err = unquote(text)
		return octets, which, err
	}
	return []byte(crlf(text)), which, nil
}

// isOther tells whether s is a name as in [Result.Messages].
func isOther(s string) bool {
	kind, number, _ := strings.Cut(s, "-")
	n, err := strconv.Atoi(number)
	return (kind == "variant" || kind == "send") && err == nil && n > 0
}

// keys reads what the store has.
func (c *Case) keys(text string) error {
	c.KV = map[string]string{}
	for line := range strings.Lines(text) {
		if err := pair(&c.KV, strings.TrimRight(line, "\r\n")); err != nil {
			return err
		}
	}
	return nil
}

// pair sets a key as in `key=value`.
func pair(m *map[string]string, line string) error {
	key, value, ok := strings.Cut(line, "=")
	if !ok || key == "" {
		return fmt.Errorf("%q is not as in key=value", line)
	}
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
	return nil
}

// records reads the records that there are.
func (c *Case) records(text string) error {
	c.DNS = DNS{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		word, data, _ := strings.Cut(strings.TrimSpace(rest), " ")
		t, ok := DNSType(word)
		data = strings.TrimSpace(data)
		if !ok || data == "" {
			return fmt.Errorf("%q is not as in `example.org MX 10 mx.example.org.`", line)
		}
		c.DNS.Add(name, t, data)
	}
	return nil
}

// envelopeKeys set a field of a case each.
var envelopeKeys = map[string]func(c *Case, value string) error{
	"hook": func(c *Case, v string) error {
		c.Hook = v
		if v == abi.HookLoad || !slices.Contains(abi.Hooks[:], v) {
			return fmt.Errorf("%q is no hook; hooks are %s", v, strings.Join(abi.Hooks[1:], ", "))
		}
		return nil
	},
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
	"listener":    func(c *Case, v string) error { c.Context.Server.Listener = v; return nil },
	"hostname":    func(c *Case, v string) error { c.Context.Server.Name = v; return nil },
	"queue-id":    func(c *Case, v string) error { c.Context.Queue.ID = v; return nil },
	"attempts": func(c *Case, v string) (err error) {
		c.Context.Queue.Attempts, err = strconv.Atoi(v)
		return err
	},
	"received": func(c *Case, v string) (err error) {
		c.Context.Queue.Received, err = time.Parse(time.RFC3339, v)
		return err
	},
	"now": func(c *Case, v string) (err error) {
		c.Now, err = time.Parse(time.RFC3339, v)
		return err
	},
	"session-note": func(c *Case, v string) error { return pair(&c.SessionNotes, v) },
	"note":         func(c *Case, v string) error { return pair(&c.Notes, v) },
	"queued-note":  func(c *Case, v string) error { return pair(&c.QueuedNotes, v) },
	"original":     known(func(r *host.Recipient) *string { return &r.Original }),
	"orcpt":        known(func(r *host.Recipient) *string { return &r.ORCPT }),
	"notify":       known(func(r *host.Recipient) *string { return &r.Notify }),
	"resolved":     known(func(r *host.Recipient) *string { return &r.Resolved }),
	"status":       known(func(r *host.Recipient) *string { return &r.Status }),
	"last-reply":   known(func(r *host.Recipient) *string { return &r.LastReply }),
}

// known sets what is known of the recipient that came last.
func known(field func(*host.Recipient) *string) func(*Case, string) error {
	return func(c *Case, v string) error {
		if len(c.To) == 0 {
			return fmt.Errorf("stands above the first recipient")
		}
		to := c.To[len(c.To)-1]
		r := c.Known[to]
		*field(&r) = v
		if c.Known == nil {
			c.Known = map[string]host.Recipient{}
		}
		c.Known[to] = r
		return nil
	}
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
		files = append(files, messageFile("want", r.Message))
	}
	for _, m := range r.Messages() {
		files = append(files, messageFile("want-"+m.Name, m.Octets))
	}
	a.Files = files
	return txtar.Format(a)
}

// messageFile is the file of a message, quoted if it has to be.
func messageFile(name string, octets []byte) txtar.File {
	text := bytes.ReplaceAll(octets, []byte("\r\n"), []byte("\n"))
	if !bytes.Equal([]byte(crlf(string(text))), octets) || !bytes.HasSuffix(text, []byte("\n")) || !isPlain(text) {
		return txtar.File{Name: name + ".eml.quoted", Data: quote(octets)}
	}
	return txtar.File{Name: name + ".eml", Data: text}
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
