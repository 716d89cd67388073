package main

import (
	"bytes"
	"errors"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// A tree is what rewrite wants to know of a message: its bodies, which are
// what a reader sees as the text, and its files.
type tree struct {
	bodies []body
	files  []file
	buf    []byte // the octets of all bodies
}

// A body is a text/plain or text/html part that is no attachment.
type body struct {
	part       mta.Part
	html       bool
	begin, end int // of its octets, decoded, in tree.buf
}

// A file is a part that is neither body nor multipart: a message that is
// attached is one, and has others in it.
type file struct {
	part      mta.Part
	mediaType string
	end       int // the files before it in tree.files are in this one
}

// sealed are the media types whose content a change would break or cannot
// reach (RFC 1847, RFC 3156, RFC 8551).
var sealed = map[string]string{
	"multipart/signed":          "signed",
	"multipart/encrypted":       "encrypted",
	"application/pkcs7-mime":    "signed or encrypted",
	"application/x-pkcs7-mime":  "signed or encrypted",
	"application/pgp":           "signed or encrypted",
	"application/pgp-encrypted": "encrypted",
}

// read looks at a message. left is why it is to be left alone: it is signed or
// encrypted as a whole, or has a PGP block in its text.
func (t *tree) read(m *mta.Message, maxBody int64) (left string, err error) {
	t.bodies, t.files, t.buf = t.bodies[:0], t.files[:0], t.buf[:0]
	root := m.Root()
	mediaType := root.Type()
	if left = sealed[mediaType]; left != "" {
		return left, nil
	}
	t.walk(root, mediaType, true)
	return t.readBodies(maxBody)
}

// readBodies reads the bodies, and forgets those that cannot be read.
func (t *tree) readBodies(maxBody int64) (left string, err error) {
	kept := t.bodies[:0]
	for _, b := range t.bodies {
		if b.part.Size() > maxBody {
			continue
		}
		b.begin = len(t.buf)
		t.buf, err = b.part.AppendOctets(t.buf)
		if err != nil {
			if errors.Is(err, mta.ErrLimit) {
				return "", err
			}
			t.buf = t.buf[:b.begin]
			continue
		}
		b.end = len(t.buf)
		if b.damaged() {
			t.buf = t.buf[:b.begin]
			continue
		}
		if hasPGP(t.buf[b.begin:]) {
			return "signed or encrypted", nil
		}
		kept = append(kept, b)
	}
	t.bodies = kept
	return "", nil
}

// damaged tells whether a body in base64 has much in it that is none, and that
// writing it anew would drop. Line ends are at most a tenth of it.
func (b body) damaged() bool {
	if b.part.Encoding() != "base64" {
		return false
	}
	proper := int64(b.end-b.begin+2) / 3 * 4
	return b.part.BodySize() > proper+proper/10+8
}

// octets are what is in a body.
func (t *tree) octets(b body) []byte { return t.buf[b.begin:b.end] }

// walk finds bodies and files in p. shown tells whether p's place is one where
// a reader sees text as part of the message. It returns how many bodies there
// are in p.
func (t *tree) walk(p mta.Part, mediaType string, shown bool) int {
	if sealed[mediaType] != "" {
		return 0
	}
	flags := p.Flags()
	message := strings.HasPrefix(mediaType, "message/")
	switch {
	case flags.Multipart() && !message:
		return t.walkParts(p, mediaType, shown)
	case shown && isBody(p, mediaType, flags):
		t.bodies = append(t.bodies, body{part: p, html: mediaType == "text/html"})
		return 1
	}
	i := len(t.files)
	t.files = append(t.files, file{part: p, mediaType: mediaType})
	if flags.Multipart() {
		t.walkParts(p, mediaType, false)
	}
	t.files[i].end = len(t.files)
	return 0
}

// walkParts looks at the parts of a multipart. In multipart/alternative every
// part can be a body, in multipart/related the first (RFC 2387 §3.2), and in
// all others the last that has one: what is under it is under all of them. A
// report is no letter.
func (t *tree) walkParts(p mta.Part, mediaType string, shown bool) int {
	if mediaType == "multipart/report" || mediaType == "multipart/digest" || mediaType == "multipart/form-data" {
		shown = false
	}
	first := len(t.bodies)
	last := first
	index := 0
	for c := range p.Children() {
		before := len(t.bodies)
		t.walk(c, c.Type(), shown && (mediaType != "multipart/related" || index == 0))
		if len(t.bodies) > before {
			last = before
		}
		index++
	}
	if mediaType != "multipart/alternative" && last > first {
		t.bodies = append(t.bodies[:first], t.bodies[last:]...)
	}
	return len(t.bodies) - first
}

// isBody tells whether a part in a place for text is text to read. A name
// makes it a file, but for the message itself.
func isBody(p mta.Part, mediaType string, flags mta.Flags) bool {
	if mediaType != "text/plain" && mediaType != "text/html" {
		return false
	}
	if p.IsRoot() {
		return p.Disposition() != "attachment"
	}
	return !flags.Attachment() && p.Filename() == ""
}

const pgpBegin = "-----BEGIN PGP "

// pgpSkip is how far a window on pgpBegin can move if it ends in an octet
// (Horspool's search). It looks at one octet in fifteen of a text without PGP:
// a guest's loops are slow, and this is the one over all of the text.
var pgpSkip = func() (skip [256]uint8) {
	last := len(pgpBegin) - 1
	for i := range skip {
		skip[i] = uint8(len(pgpBegin))
	}
	for i := range last {
		skip[pgpBegin[i]] = uint8(last - i)
	}
	return skip
}()

// pgpWithin is how far into a text a PGP block may begin: it is the text, so
// only a few words stand above it.
const pgpWithin = 16 << 10

// hasPGP tells whether a line of b begins an OpenPGP block (RFC 9580 §6.2)
// that is the text, signed or encrypted; a key in a signature is none.
func hasPGP(b []byte) bool {
	b = b[:min(len(b), pgpWithin)]
	const last = len(pgpBegin) - 1
	for i := last; i < len(b); i += int(pgpSkip[b[i]]) {
		if b[i] != pgpBegin[last] || string(b[i-last:i+1]) != pgpBegin {
			continue
		}
		at, rest := i-last, b[i+1:]
		if (at == 0 || b[at-1] == '\n' || b[at-1] == '>') &&
			(bytes.HasPrefix(rest, []byte("MESSAGE")) || bytes.HasPrefix(rest, []byte("SIGNED MESSAGE"))) {
			return true
		}
	}
	return false
}
