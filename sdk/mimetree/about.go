package mimetree

import (
	"strconv"
	"strings"
)

// An about is what a part's header section says of its body.
type about struct {
	mediaType   string // lower case; "text/plain" if there is none that can be read
	params      []param
	charset     string
	border      string // of a multipart
	encoding    string // lower case
	disposition string // lower case
	filename    string
	contentID   string
	typed       bool // there is a Content-Type field
	odd         bool // one of the fields does not follow its grammar
}

// about reads the fields that describe p's body.
func (t *Tree) about(p *part) (*about, error) {
	if p.about != nil {
		return p.about, nil
	}
	mediaType, err := t.defaultType(p)
	if err != nil {
		return nil, err
	}
	a := &about{mediaType: mediaType}
	var seen [len(describing)]bool
	var dispositions []param
	t.work += int64(len(p.fields))
	for _, f := range p.fields {
		k, err := t.describes(f)
		if err != nil {
			return nil, err
		}
		if k < 0 || seen[k] {
			a.odd = a.odd || k >= 0 // the first counts, as with most readers
			continue
		}
		seen[k] = true
		b, err := t.octets(f.span)
		if err != nil {
			return nil, err
		}
		value := string(unfold(rawValue(b, f)))
		switch k {
		case contentType:
			a.setType(value)
		case contentEncoding:
			a.encoding, _, _ = parseParams(strings.ToLower(value))
		case contentDisposition:
			var ok bool
			a.disposition, dispositions, ok = parseParams(value)
			a.disposition = strings.ToLower(a.disposition)
			a.odd = a.odd || !ok
		case contentID:
			a.contentID = strings.TrimSuffix(strings.TrimPrefix(value, "<"), ">")
		}
	}
	a.filename = lookup(dispositions, "filename")
	if a.filename == "" {
		a.filename = lookup(a.params, "name")
	}
	p.about = a
	return a, nil
}

const (
	contentType = iota
	contentEncoding
	contentDisposition
	contentID
)

// describing are the fields that an about is made of.
var describing = [...]string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID"}

// describes is the place in describing of a field's name, or negative.
func (t *Tree) describes(f field) (int, error) {
	if int(f.name) < len("Content-ID") {
		return -1, nil
	}
	name, err := t.octets(span{f.start, f.start + int64(f.name)})
	if err != nil {
		return -1, err
	}
	if lower(name[0]) != 'c' {
		return -1, nil
	}
	for k, s := range describing {
		if sameName(name, s) {
			return k, nil
		}
	}
	return -1, nil
}

// defaultType is the media type of a part that names none (RFC 2045 §5.2,
// RFC 2046 §5.1.5).
func (t *Tree) defaultType(p *part) (string, error) {
	if p.parent != None {
		up, err := t.about(t.parts[p.parent])
		if err != nil || up.isDigest() {
			return "message/rfc822", err
		}
	}
	return "text/plain", nil
}

// setType takes the value of Content-Type.
func (a *about) setType(value string) {
	head, params, ok := parseParams(value)
	a.typed, a.params = true, params
	if major, minor, slash := strings.Cut(strings.ToLower(head), "/"); slash && isToken(major) && isToken(minor) {
		a.mediaType = major + "/" + minor
	} else {
		a.mediaType, ok = "text/plain", false // RFC 2045 §5.2
	}
	a.charset = lookup(params, "charset")
	if a.isMultipart() {
		a.border = strings.TrimRight(lookup(params, "boundary"), " \t")
	}
	a.odd = a.odd || !ok
}

// isToken tells whether s is a token (RFC 2045 §5.1).
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

func (a *about) isMultipart() bool { return strings.HasPrefix(a.mediaType, "multipart/") }

func (a *about) isDigest() bool { return a.mediaType == "multipart/digest" }

// holdsMessage tells whether the body is a message, header section and all.
func (a *about) holdsMessage() bool {
	return a.mediaType == "message/rfc822" || a.mediaType == "message/global"
}

func (a *about) isText() bool { return strings.HasPrefix(a.mediaType, "text/") }

// isIdentity tells whether the body is not encoded (RFC 2045 §6.2). Only such
// a body can have parts (RFC 2045 §6.4).
func (a *about) isIdentity() bool {
	switch a.encoding {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// isSealed tells whether a change of the body breaks a signature on it, or
// what is encrypted (RFC 1847, RFC 8551 §3).
func (a *about) isSealed() bool {
	switch a.mediaType {
	case "multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime":
		return true
	}
	return false
}

// holdsMessage tells whether p has one part, which is a message.
func (p *part) holdsMessage() bool { return p.structured && p.border == "" }

// Info is what a part's header section says of its body.
type Info struct {
	Type        string // the media type in lower case, without parameters
	Charset     string // as it is written; empty: none is named
	Filename    string // UTF-8
	Encoding    string // the transfer encoding in lower case; empty: none is named
	Disposition string // lower case
	ContentID   string // without angle brackets
	Path        string // "1.2": the second part of the first part; empty for the message
}

// Info tells what there is to know of a part without reading its body. A part
// that holds a message has it as its only part: in "2", a message/rfc822, the
// message's own parts are "2.1.1" and "2.1.2".
func (t *Tree) Info(id ID) (Info, error) {
	p, err := t.part(id)
	if err != nil {
		return Info{}, err
	}
	a, err := t.about(p)
	if err != nil {
		return Info{}, err
	}
	return Info{a.mediaType, a.charset, a.filename, a.encoding, a.disposition, a.contentID, t.path(p)}, nil
}

func (t *Tree) path(p *part) string {
	if p.parent == None {
		return ""
	}
	n := 1
	for id := p.prev; id != None; id = t.parts[id].prev {
		n++
	}
	t.work += int64(n)
	up := t.path(t.parts[p.parent])
	if up != "" {
		up += "."
	}
	return up + strconv.Itoa(n)
}

// Flags are what a part is.
type Flags uint8

const (
	Multipart    Flags = 1 << iota // it has parts
	Attachment                     // a file to save, not to show: it says so, or has a name and says nothing
	InsideSigned                   // in a signed or encrypted part, or one itself: an edit breaks it
	Malformed                      // it does not follow its grammar, or is beyond a limit
	Modified                       // it or a part of it was edited
)

// Flags tells what a part is. For a multipart this takes finding its parts.
func (t *Tree) Flags(id ID) (Flags, error) {
	p, err := t.part(id)
	if err != nil {
		return 0, err
	}
	if err := t.scan(p); err != nil {
		return 0, err
	}
	a, err := t.about(p)
	if err != nil {
		return 0, err
	}
	sealed, err := t.insideSealed(p)
	if err != nil {
		return 0, err
	}
	var f Flags
	for _, c := range []struct {
		is   bool
		flag Flags
	}{
		{p.structured, Multipart},
		{a.disposition == "attachment" || a.disposition == "" && a.filename != "", Attachment},
		{sealed, InsideSigned},
		{a.odd || p.broken || p.opaque || p.torn || p.cut, Malformed},
		{p.edited, Modified},
	} {
		if c.is {
			f |= c.flag
		}
	}
	return f, nil
}

func (t *Tree) insideSealed(p *part) (bool, error) {
	for {
		a, err := t.about(p)
		if err != nil || a.isSealed() {
			return err == nil, err
		}
		if p.parent == None {
			return false, nil
		}
		p = t.parts[p.parent]
	}
}
