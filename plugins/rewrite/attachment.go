package main

import (
	"strconv"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// A rule says which attachments go. All that it names must hold.
type rule struct {
	Type      list     `json:"type"`
	Extension list     `json:"extension"`
	Over      mta.Size `json:"over"`
	Then      string   `json:"then"`
	Note      string   `json:"note"`
}

// What a rule can do.
const (
	replace = "replace" // put a note in its place
	remove  = "remove"
)

// defaultNote takes the place of an attachment.
const defaultNote = "The attachment ${filename} (${type}, ${size} octets) was removed."

// attachments takes away what the rules say, and says how many that were.
func (r *rewriter) attachments() (n int, err error) {
	if len(r.rules) == 0 {
		return 0, nil
	}
	files := r.tree.files
	for i := 0; i < len(files); {
		rule := r.ruleFor(files[i])
		if rule == nil {
			i++
			continue
		}
		if err := files[i].apply(rule); err != nil {
			return n, err
		}
		n++
		i = files[i].end // what was in it is gone
	}
	return n, nil
}

func (r *rewriter) ruleFor(f file) *rule {
	for i := range r.rules {
		if r.rules[i].match(f) {
			return &r.rules[i]
		}
	}
	return nil
}

func (r *rule) match(f file) bool {
	if r.Type != nil && !r.Type.matchType(f.mediaType) {
		return false
	}
	if r.Extension != nil && !r.Extension.has(extension(f.part.Filename())) {
		return false
	}
	return r.Over == 0 || f.part.Size() > int64(r.Over)
}

// apply removes a file, or puts a note in its place. The only part of a
// multipart is never removed: a multipart has at least one (RFC 2046 §5.1.1).
func (f file) apply(r *rule) error {
	parent, inside := f.part.Parent()
	inside = inside && strings.HasPrefix(parent.Type(), "multipart/")
	if r.Then == remove && inside && hasOthers(parent) {
		return f.part.Remove()
	}
	note := []byte(crlf(f.note(r.Note)))
	if !inside {
		return f.replaceBody(note)
	}
	if _, err := parent.Insert(indexOf(parent, f.part), noteType, f.noteName(), note); err != nil {
		return err
	}
	return f.part.Remove()
}

const noteType = "text/plain; charset=utf-8"

// replaceBody makes the note the whole body of a message. What spoke of the
// file goes.
func (f file) replaceBody(note []byte) error {
	if err := f.part.Replace(noteType, note); err != nil {
		return err
	}
	h := f.part.Header()
	for _, name := range [...]string{"Content-Disposition", "Content-Description", "Content-ID", "Content-MD5"} {
		if _, err := h.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

func hasOthers(parent mta.Part) bool {
	n := 0
	for range parent.Children() {
		n++
	}
	return n > 1
}

func indexOf(parent, part mta.Part) int {
	i := 0
	for c := range parent.Children() {
		if c == part {
			return i
		}
		i++
	}
	return -1
}

// note is the text for one file.
func (f file) note(text string) string {
	name := f.part.Filename()
	if name == "" {
		name = "without a name"
	}
	return strings.NewReplacer(
		"${filename}", oneLine(name),
		"${type}", oneLine(f.mediaType),
		"${size}", strconv.FormatInt(f.part.Size(), 10),
		"$$", "$",
	).Replace(text)
}

// noteName makes the note a file, as what it stands for was: so it is no text
// of the message, and gets no footer.
func (f file) noteName() string {
	name := strings.TrimSpace(oneLine(f.part.Filename()))
	if name == "" {
		name = "removed"
	}
	return name + ".txt"
}

// maxName is the most of a name from outside that a note repeats.
const maxName = 255

func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' {
			return ' ' // nor may it turn the direction of the text around it
		}
		return r
	}, s)
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}

// extension is what stands behind the last dot, in lower case. Blanks and dots
// at the end do not count: Windows drops them.
func extension(name string) string {
	name = strings.TrimRight(name, " .\t\x00")
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return ""
	}
	return strings.ToLower(name[i+1:])
}
