package condition

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// values is what an expression sees of a transaction.
type values struct {
	Size          int64    `expr:"size"`
	Authenticated bool     `expr:"authenticated"`
	Account       string   `expr:"account"`
	Sender        string   `expr:"sender"`
	SenderDomain  string   `expr:"sender_domain"`
	Recipients    []string `expr:"recipients"`
	Helo          string   `expr:"helo"`
	Client        string   `expr:"client"`
	ClientName    string   `expr:"client_name"`
	Listener      string   `expr:"listener"`
	TLS           bool     `expr:"tls"`
	Hour          int      `expr:"hour"`
	Weekday       string   `expr:"weekday"`

	Header    func(name string) (string, error)           `expr:"header"`
	InNetwork func(address, network string) (bool, error) `expr:"in_network"`
}

// A Name is one name that an expression can use.
type Name struct {
	Name    string
	Type    string
	Text    string
	Example string
	Known   string // the hook from which it is known
}

// Names are all of them, for documents.
var Names = [...]Name{
	{"size", "int", "Octets of the message as the stages before left it.", "size > 1024 * 1024", mail.HookHeaders},
	{"sender", "string", "The reverse-path; empty for a bounce.", `sender == "alice@crepes.fr"`, mail.HookMail},
	{"sender_domain", "string", "Its domain, in lower case.", `sender_domain endsWith ".fr"`, mail.HookMail},
	{"recipients", "list of string", "The forward-paths that are left; at on_rcpt those so far, the one in question last.", `any(recipients, # startsWith "postmaster@")`, mail.HookRcpt},
	{"authenticated", "bool", "The client logged in.", "!authenticated", mail.HookAuth},
	{"account", "string", "Who logged in; empty if nobody did.", `account == "bob@hamburger.edu"`, mail.HookAuth},
	{"client", "string", "The client's IP address.", `in_network(client, "10.0.0.0/8")`, mail.HookConnect},
	{"client_name", "string", "Its reverse name, if that leads back to the address; or empty.", `client_name endsWith ".example.net"`, mail.HookConnect},
	{"helo", "string", "What the client called itself.", `helo matches "^[0-9.]+$"`, mail.HookHelo},
	{"listener", "string", "smtp, submission or lmtp.", `listener == "submission"`, mail.HookConnect},
	{"tls", "bool", "The session is encrypted.", "!tls", mail.HookAuth},
	{"hour", "int", "The hour in which MAIL came, or before that the client, 0 to 23, in the server's time zone.", "hour >= 22 || hour < 6", mail.HookConnect},
	{"weekday", "string", "The day on which MAIL came, or before that the client: monday to sunday.", `weekday in ["saturday", "sunday"]`, mail.HookConnect},
	{"header", "function", "The first header field of that name, decoded; empty if there is none.", `header("Subject") contains "crêpe"`, mail.HookHeaders},
	{"in_network", "function", "Whether an address is in a network.", `in_network(client, "2001:db8::/32")`, mail.HookConnect},
}

func valuesOf(tx *mail.Transaction) *values {
	env, c := &tx.Envelope, &tx.Client
	v := &values{
		Authenticated: c.Account != "",
		Account:       c.Account,
		Sender:        env.ReversePath.String(),
		SenderDomain:  strings.ToLower(env.ReversePath.Domain),
		Recipients:    make([]string, len(env.Recipients)),
		Helo:          c.Helo,
		ClientName:    c.Name,
		Listener:      string(c.Listener),
		TLS:           c.TLS != "",
		Hour:          tx.Received.Hour(),
		Weekday:       strings.ToLower(tx.Received.Weekday().String()),
		Header:        func(name string) (string, error) { return header(tx, name) },
		InNetwork:     inNetwork,
	}
	if tx.Content != nil {
		v.Size = tx.Content.Size()
	}
	if a := c.Addr.Addr(); a.IsValid() {
		v.Client = a.Unmap().String()
	}
	for i := range env.Recipients {
		v.Recipients[i] = env.Recipients[i].Path.String()
	}
	return v
}

func inNetwork(address, network string) (bool, error) {
	prefix, err := parseNetwork(network)
	if err != nil {
		return false, fmt.Errorf("in_network: %q is no network", network)
	}
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false, nil // a client without an address is in no network
	}
	return prefix.Contains(a.Unmap()), nil
}

func known() []string {
	var names []string
	for _, n := range Names {
		names = append(names, n.Name)
	}
	return names
}

// nearest is the known name that a mistyped one most likely means, or empty.
func nearest(name string) string {
	best, least := "", max(len(name)/3, 1)+1
	for _, n := range known() {
		if d := distance(strings.ToLower(name), n); d < least {
			best, least = n, d
		}
	}
	return best
}

// distance is how many letters to put in, take out or exchange.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// Reference is the page about conditions, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString(introduction)
	b.WriteString("\n| name | type | meaning | example | known from |\n|---|---|---|---|---|\n")
	for _, n := range Names {
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` | %s |\n", n.Name, n.Type, n.Text, strings.ReplaceAll(n.Example, "|", `\|`), n.Known)
	}
	return b.String()
}

const introduction = `# Conditions

<!-- written by a test of mta/internal/condition from its table of names -->

The ` + "`when:`" + ` of a stage is an expression that is true or false:

` + "```yaml" + `
pipeline:
  - plugin: rewrite
    when: size < 1048576 && !authenticated && sender_domain != "hamburger.edu"
` + "```" + `

It is type-checked when the pipeline file is read, by ` + "`mta check`" + ` too: a name that is not in the
table, text compared with a number, a regular expression or a network that is none are refused with their
place. Operators are ` + "`== != < <= > >= && || ! in contains startsWith endsWith matches`" + `, and the
words ` + "`and or not`" + `; lists have ` + "`any(list, # == …)`, `all`, `none`, `len`" + `. The whole
language is described at [expr-lang.org](https://expr-lang.org/docs/language-definition). An expression that
fails on a message is a failure of its stage, and ` + "`on_error`" + ` decides.

A stage is asked only once its condition is known to hold. So a hook of the session that comes before
something the condition speaks of (the last column of the table) is not asked: a stage with
` + "`when: size > 1048576`" + ` is asked about messages and never about a connection, and one with
` + "`when: sender_domain == \"crepes.fr\"`" + ` from MAIL on. Give a plugin two stages where its hooks need different
conditions. A stage that would never be asked for that reason is refused when the file is read. ` + "`on_disconnect`" + ` knows what ` + "`on_connect`" + ` does.
`
