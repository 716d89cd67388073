// Package mimetree is a message as a tree of MIME parts over the octets as
// received, with a list of edits. What no edit touches leaves as it came, to
// the last octet, however malformed it is; how a message gets here and where
// it goes is for others.
//
// The octets stay in their source and are read when they are needed: the
// header section when the first field is asked for, the parts of a multipart
// when the first of them is. Mail that breaks the rules is no error. What
// cannot be taken apart is one part without parts, flagged as malformed.
package mimetree

import (
	"errors"
	"io"
	"sync"
)

// A Source has the octets of a message. It must not change while a tree, or
// what was opened from one, is in use.
type Source interface {
	io.ReaderAt
	Size() int64
}

// An ID names a part of one tree. It stays the part's own while the part is
// edited and moved; a part that is gone is [ErrNotFound].
type ID int32

const (
	Root ID = 0  // the message itself
	None ID = -1 // no part
)

// What methods answer beside the errors of the source.
var (
	ErrNotFound = errors.New("no such part or header field")
	ErrArgument = errors.New("bad argument")
	ErrLimit    = errors.New("limit of the message tree reached")
	ErrCharset  = errors.New("unknown character set")
	ErrEncoding = errors.New("unknown transfer encoding")
	ErrLossy    = errors.New("text has characters that could not be read")
	ErrShape    = errors.New("part cannot hold parts")
)

// Limits bound what a message can cost, whoever wrote it. Zero fields have the
// defaults.
type Limits struct {
	HeaderOctets int // of one header section; what is beyond counts as body, and the part as malformed
	Fields       int // in one header section; as HeaderOctets
	Parts        int // in the tree, those that are gone too; what is beyond stays with their multipart
	Depth        int // of parts in parts; what is deeper is not taken apart
}

// The defaults of [Limits].
const (
	DefaultHeaderOctets = 1 << 20 // other servers refuse at a tenth of it
	DefaultFields       = 10_000  // a large list with ARC and DKIM has a few hundred
	DefaultParts        = 10_000  // a mailing list digest has about a hundred; 4 MB of memory
	DefaultDepth        = 32      // ten messages forwarded one in the other; each level is one more scan
)

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.HeaderOctets, DefaultHeaderOctets},
		{&l.Fields, DefaultFields},
		{&l.Parts, DefaultParts},
		{&l.Depth, DefaultDepth},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// A Tree is one message with its edits. It is not safe for concurrent use, but
// for Open, Size and ReadAt among themselves.
type Tree struct {
	src     Source
	size    int64 // of src
	limits  Limits
	parts   []*part // by ID
	added   []chunk // octets that are not in src, by address
	end     int64   // the address that the next chunk gets
	undo    []change
	version int    // counts edits and their undoing
	depth   int    // of the deepest part that is known
	eol     string // how the message ends its lines
	head    []byte // of src, from its first octet: the message's header section
	recent  window // of another header section

	text   decoded // the part that was decoded last
	stream stream  // the same for those that are too large to keep

	interrupt func() error // see Interrupt; nil: nobody is asked
	work      int64        // see Work

	mu   sync.Mutex // guards view
	view *content   // what the message is now; nil after an edit

	root part
	few  [8]*part // where parts begins
}

// Parse makes a tree of src. It reads nothing yet, so it cannot fail; errors
// of src come from the methods that need its octets.
func Parse(src Source, limits Limits) *Tree {
	t := &Tree{src: src, size: src.Size(), limits: limits.withDefaults()}
	t.end = t.size
	t.root.shape = shape{parent: None, first: None, last: None, prev: None, next: None, whole: span{0, t.size}}
	t.few[0] = &t.root
	t.parts = t.few[:1]
	return t
}

// Open reads the message as it is at this moment; later edits do not show.
func (t *Tree) Open() (io.ReadCloser, error) { return t.content().open(), nil }

// Size is the number of octets that Open gives.
func (t *Tree) Size() int64 { return t.content().size }

// ReadAt reads the message as it is at this moment (see [io.ReaderAt]).
func (t *Tree) ReadAt(p []byte, off int64) (int, error) { return t.content().ReadAt(p, off) }

// content is the message as it is now.
func (t *Tree) content() *content {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.view == nil {
		t.view = t.contentOf(func(segs []segment) []segment { return t.render(segs, &t.root) })
	}
	return t.view
}

// Work is how much was done with the tree so far: a count of the fields, the
// parts and the pieces of the message that were looked at or moved, and of the
// octets that were decoded, searched and copied, [workOctets] for one. It is the
// same for the same calls on the same message.
func (t *Tree) Work() int64 { return t.work }

// workOctets is how many octets take as long as a field that is looked at.
const workOctets = 32

func (t *Tree) workedOn(octets int64) { t.work += octets / workOctets }

// Modified tells whether there are edits.
func (t *Tree) Modified() bool { return t.root.edited }
