package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Style says how a report looks.
type Style struct {
	Color bool
	Width int // of the terminal; zero: lines are not cut
}

// The colours, as SGR parameters.
const (
	bold    = "1"
	dim     = "2"
	red     = "31"
	green   = "32"
	yellow  = "33"
	magenta = "35"
	cyan    = "36"
)

// verdictColors are those of verdicts; others have none.
var verdictColors = map[string]string{
	"accept": green, "continue": green, "discard": yellow, "quarantine": magenta, "defer": yellow,
	"reject": red, "disconnect": red, "failed": red, "skipped": dim,
}

// A page is a report while it is written.
type page struct {
	bytes.Buffer
	style  Style
	titles int    // width of the first column
	indent string // of sections
}

// maxTitle is the widest first column: a longer title moves the others.
const maxTitle = 20

// WriteText writes a report for a person.
func (r *Report) WriteText(w io.Writer, style Style) error {
	p := &page{style: style}
	p.head(r)
	p.titles = len("together")
	for i := range r.Steps {
		p.titles = max(p.titles, min(maxTitle, utf8.RuneCountInString(r.Steps[i].title())))
	}
	for i := range r.Steps {
		p.step(&r.Steps[i])
	}
	p.foot(r)
	_, err := w.Write(p.Bytes())
	return err
}

// paint is s in a colour.
func (p *page) paint(color, s string) string {
	if !p.style.Color || color == "" || s == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

// line writes one line in a colour, cut to the width.
func (p *page) line(color, text string) {
	p.WriteString(p.paint(color, p.cut(text)) + "\n")
}

// cut shortens a line to the width, by characters.
func (p *page) cut(text string) string {
	if p.style.Width <= 0 || utf8.RuneCountInString(text) <= p.style.Width {
		return text
	}
	return string([]rune(text)[:p.style.Width-1]) + "…"
}

func (p *page) head(r *Report) {
	p.WriteString(p.paint(bold, visible(r.Message)) + p.paint(dim, "  "+size(r.Size)) + "\n")
	p.fact("from", orNull(r.From), r.Assumed["from"])
	p.fact("to", strings.Join(r.To, ", "), r.Assumed["to"])
	p.fact("client", r.Client+" as "+r.Helo, r.Assumed["client"])
}

func orNull(s string) string {
	if s == "" {
		return "<>"
	}
	return s
}

// fact is one line of the head; source says where it was taken from.
func (p *page) fact(name, text, source string) {
	if source != "" {
		source = "  (" + source + ")"
	}
	line := []rune(p.cut(fmt.Sprintf("  %-6s %s", name, visible(text)) + visible(source)))
	at := min(len(line), utf8.RuneCountInString(fmt.Sprintf("  %-6s %s", name, visible(text))))
	p.WriteString(p.paint(dim, string(line[:9])) + string(line[9:at]) + p.paint(dim, string(line[at:])) + "\n")
}

// hookWords are hooks as a person reads them; on_message needs no word.
var hookWords = map[string]string{
	"on_connect": "connect", "on_helo": "helo", "on_auth": "auth", "on_mail": "mail", "on_rcpt": "rcpt", "on_data": "data",
	"on_headers": "headers", "on_message": "", "on_disconnect": "disconnect",
	"on_route": "route", "on_local": "local", "on_delivery": "delivery", "on_dsn": "dsn",
}

// title is a stage with the hook it is asked.
func (s *Step) title() string {
	words := []string{s.Stage}
	word, known := hookWords[s.Hook]
	if !known {
		word = s.Hook
	}
	for _, more := range [...]string{word, s.About} {
		if more != "" {
			words = append(words, more)
		}
	}
	return visible(strings.Join(words, " "))
}

// outcome is what became of a step, in a word.
func (s *Step) outcome() string {
	switch {
	case s.Skipped != "":
		return "skipped"
	case s.Error != "":
		return "failed"
	}
	return s.Verdict
}

func (p *page) step(s *Step) {
	p.WriteString("\n")
	p.columns(s.title(), s.outcome(), &s.Used, s.Skipped)
	if s.Skipped != "" {
		return
	}
	p.said(s)
	if s.Changes != nil {
		p.changes(s.Changes)
	}
	for _, q := range s.Parts {
		p.queued("divided:", &q)
	}
	for _, q := range s.Sent {
		p.queued("sends:", &q)
	}
	if s.Error == "" && s.Verdict == "continue" && (s.Changes == nil || s.Changes.Empty()) && len(s.Parts)+len(s.Sent) == 0 {
		p.line(dim, "    nothing changed")
	}
	p.section("remembers", s.Remembered)
	for _, text := range s.Counted {
		p.line(dim, "    counts "+visible(text))
	}
	for _, l := range s.Log {
		p.line(dim, "    log "+visible(l))
	}
}

// columns are a name, a verdict, and what was used or why nothing was.
func (p *page) columns(title, outcome string, used *Usage, skipped string) {
	more := used.String()
	if skipped != "" {
		more = skipped
	}
	p.WriteString(p.paint(bold, fmt.Sprintf("%-*s", p.titles, title)) + "  " +
		p.paint(verdictColors[outcome], fmt.Sprintf("%-10s", outcome)) + "  " + p.paint(dim, more) + "\n")
}

// said is what a stage said beside its verdict.
func (p *page) said(s *Step) {
	if s.Error != "" {
		p.line(red, "    "+visible(s.Error))
		p.line("", "    its on_error makes that: "+s.Verdict)
	}
	if s.Reply != "" {
		p.line(verdictColors[s.Verdict], "    "+visible(s.Reply))
	}
	if s.Reason != "" {
		p.line(magenta, "    held: "+visible(s.Reason))
	}
}

// String is the usage as a person reads it.
func (u Usage) String() string {
	return fmt.Sprintf("%8s  %12s fuel  %6s calls  %s", took(u.Time), thousands(u.Fuel), thousands(uint64(u.Calls)), size(u.Memory))
}

func took(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.2f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}

// thousands groups the digits of n.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func (p *page) changes(c *Changes) {
	p.section("envelope", c.Envelope)
	p.section("header", c.Header)
	p.section("parts", c.Tree)
	for _, part := range c.Parts {
		name := "part " + part.Path
		if part.Path == "" {
			name = "body"
		}
		p.section(name+", header", part.Header)
		p.section(name+", "+part.Type, part.Text)
		if part.Note != "" {
			p.line(yellow, p.indent+"    "+name+": "+visible(part.Note))
		}
	}
	p.section("octets", c.Octets)
	p.section("notes", c.Notes)
}

var opColors = map[Op]string{Removed: red, Added: green, Changed: yellow, Gap: dim, Kept: dim}

// section writes the lines of one difference.
func (p *page) section(name string, lines []Line) {
	if len(lines) == 0 {
		return
	}
	p.line(cyan, p.indent+"    "+visible(name))
	for _, l := range lines {
		if l.Op == Gap {
			p.line(dim, p.indent+"      … "+l.Text)
			continue
		}
		p.line(opColors[l.Op], strings.TrimRight(p.indent+"    "+string(l.Op)+" "+shown(l), " "))
	}
}

// maxContext is how many characters of a line are shown that did not change.
const maxContext = 90

// shown is a line with the blanks at its end, where they may be what changed.
func shown(l Line) string {
	text := visible(l.Text)
	if l.Op == Kept { // it only shows the place
		return (&page{style: Style{Width: maxContext}}).cut(text)
	}
	bare := strings.TrimRight(text, " ")
	if len(bare) == len(text) {
		return text
	}
	return bare + strings.Repeat("·", len(text)-len(bare))
}

// queued is a message that comes of this one.
func (p *page) queued(word string, q *Queued) {
	text := "    " + word + " " + orNull(q.From) + " to " + strings.Join(q.To, ", ")
	if q.Subject != "" {
		text += fmt.Sprintf(", %q", q.Subject)
	}
	if q.File != "" {
		text += ", in " + q.File
	}
	p.line("", visible(text))
	if q.Changes != nil {
		p.indent = "  "
		p.changes(q.Changes)
		p.indent = ""
	}
}

func (p *page) foot(r *Report) {
	p.WriteString("\n")
	p.columns("together", r.Verdict, &r.Used, "")
	if r.Reply != "" {
		p.line("", "  "+visible(r.Reply))
	}
	if r.Held != "" {
		p.line("", "  held: "+visible(r.Held))
	}
	for _, q := range r.Queued {
		for i, to := range q.To {
			text := "  → " + visible(to)
			if q.By != "" {
				text += "  from " + visible(orNull(q.From)) + ", sent by " + q.By
			}
			if i < len(q.Where) && q.Where[i] != "" {
				text += "  (" + visible(q.Where[i]) + ")"
			}
			p.line("", text)
		}
		if q.File != "" {
			p.line(dim, "    in "+visible(q.File))
		}
	}
	for _, note := range r.Notes {
		p.line(yellow, "  "+visible(note))
	}
}
