package smtpd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

var (
	errStorage = &smtp.Reply{Code: 452, Enh: smtp.Enh{4, 3, 1}, Text: "Insufficient system storage, try again later"}
	errLoop    = &smtp.Reply{Code: 554, Enh: smtp.Enh{5, 4, 6}, Text: "Too many Received: fields, this is a mail loop"}
)

// An incoming is content on its way in: our Received: and what the client
// sends. Up to memoryContent octets are in memory, more in a file. It is open
// until content or discard is called.
type incoming struct {
	srv    *Server
	mem    *[]byte  // from srv.scratch; what is not in the file
	file   *os.File // nil: all is in mem
	onDisk int64
	trace  int         // octets of our Received:
	hops   int         // Received: fields of the client's header section
	err    *smtp.Reply // why it is not taken; nothing is kept then

	lines smtp.LineChecker // of BDAT; DATA's decoder has its own
}

// newIncoming begins with trace, which becomes the top of the content.
func (srv *Server) newIncoming(trace func([]byte) []byte) *incoming {
	mem, ok := srv.scratch.Get().(*[]byte)
	if !ok {
		b := make([]byte, 0, memoryContent+bufferSize)
		mem = &b
	}
	*mem = trace((*mem)[:0])
	in := &incoming{srv: srv, mem: mem, trace: len(*mem)}
	in.lines.MaxLine = srv.limits.Line
	return in
}

// received is the size of the message as the client counts it.
func (in *incoming) received() int64 {
	return in.onDisk + int64(len(*in.mem)) - int64(in.trace)
}

func (srv *Server) tooLarge() *smtp.Reply {
	return &smtp.Reply{Code: 552, Enh: smtp.Enh{5, 3, 4}, Text: fmt.Sprintf("Message over %d octets", srv.limits.Message)}
}

// refuse drops what came so far; the first reason stays.
func (in *incoming) refuse(r *smtp.Reply) {
	if in.err == nil {
		in.err = r
	}
	in.drop()
}

// settle is called after octets were appended to mem.
func (in *incoming) settle() {
	switch {
	case in.err != nil:
		in.drop()
	case in.received() > in.srv.limits.Message:
		in.refuse(in.srv.tooLarge())
	case len(*in.mem) > memoryContent:
		if err := in.spill(); err != nil {
			in.srv.log.Error("content not stored", "err", err)
			in.refuse(errStorage)
		}
	}
}

// spill moves mem to the file. The file has no name any more once it is open,
// so that none is left behind, however the server ends.
func (in *incoming) spill() error {
	if in.file == nil {
		in.hops = countHops((*in.mem)[in.trace:])
		f, err := os.CreateTemp(in.srv.TempDir, "incoming-*")
		if err != nil {
			return fmt.Errorf("store content: %w", err)
		}
		in.file = f
		if err := os.Remove(f.Name()); err != nil {
			return fmt.Errorf("store content: %w", err)
		}
	}
	n, err := in.file.Write(*in.mem)
	in.onDisk += int64(n)
	*in.mem = (*in.mem)[:0]
	if err != nil {
		return fmt.Errorf("store content: %w", err)
	}
	return nil
}

// finish is called when all octets came. Then content has them, or err is set.
func (in *incoming) finish() {
	in.lines.Finish()
	if bad := in.lines.Err(); bad != nil {
		in.refuse(bad)
	}
	switch {
	case in.err != nil:
		return
	case in.file == nil:
		in.hops = countHops((*in.mem)[in.trace:])
	case len(*in.mem) > 0:
		if err := in.spill(); err != nil {
			in.srv.log.Error("content not stored", "err", err)
			in.refuse(errStorage)
			return
		}
	}
	if over(in.hops, in.srv.limits.Hops) {
		in.refuse(errLoop) // RFC 5321 §6.3
	}
}

// content returns what came; it is good until discard, in memory longer.
func (in *incoming) content() mail.Octets {
	if in.file == nil {
		return mail.Bytes(bytes.Clone(*in.mem))
	}
	return &fileContent{ReaderAt: in.file, size: in.onDisk}
}

// drop forgets the octets that came.
func (in *incoming) drop() {
	*in.mem, in.trace, in.onDisk = (*in.mem)[:0], 0, 0
	if in.file != nil {
		in.file.Close() // has no name: is gone
		in.file = nil
	}
}

// discard gives back all that in has.
func (in *incoming) discard() {
	if in.mem == nil {
		return
	}
	in.drop()
	in.srv.scratch.Put(in.mem)
	in.mem = nil
}

// fileContent is content in a file that its incoming owns.
type fileContent struct {
	io.ReaderAt
	size int64
}

// Open implements [mail.Content].
func (c *fileContent) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(c.ReaderAt, 0, c.size)), nil
}

// Size implements [mail.Content].
func (c *fileContent) Size() int64 { return c.size }

var _ mail.Octets = (*fileContent)(nil)

// countHops counts the Received: fields of the header section at the front of
// b: up to the empty line, or what is there of it.
func countHops(b []byte) int {
	n := 0
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(bytes.TrimRight(line, "\r")) == 0 {
			break
		}
		if len(line) >= len(receivedField) && bytes.EqualFold(line[:len(receivedField)], receivedField) {
			n++
		}
	}
	return n
}

var receivedField = []byte("Received:")

// errNoEnd says that the end of DATA cannot be told any more.
var errNoEnd = errors.New("end of DATA in doubt")

// readData takes the content of DATA off the wire (RFC 5321 §4.1.1.4). When
// the error is nil, the wire is at the next command; in.err says whether the
// content was good.
func (in *incoming) readData(w *wire) error {
	var d smtp.DataDecoder
	d.Check.MaxLine = in.srv.limits.Line
	for done := false; !done; {
		block, err := nextBlock(w)
		if err != nil {
			return err
		}
		var n int
		*in.mem, n, done = d.Decode(*in.mem, block)
		w.in.Discard(n) // is there: cannot fail
		if bad := d.Err(); bad != nil {
			in.refuse(bad)
		}
		in.settle()
	}
	if d.Lost() {
		return errNoEnd
	}
	in.finish()
	return nil
}

// nextBlock returns octets that came, at least one.
func nextBlock(w *wire) ([]byte, error) {
	if w.in.Buffered() == 0 {
		if _, err := w.in.Peek(1); err != nil {
			return nil, err
		}
	}
	return w.in.Peek(w.in.Buffered())
}

// readChunk takes size octets off the wire (RFC 3030 §2).
func (in *incoming) readChunk(w *wire, size int64) error {
	if in.received()+size > in.srv.limits.Message {
		in.refuse(in.srv.tooLarge())
	}
	return eachBlock(w, size, func(block []byte) {
		in.lines.Add(block)
		if bad := in.lines.Err(); bad != nil {
			in.refuse(bad)
		}
		if in.err == nil {
			*in.mem = append(*in.mem, block...)
			in.settle()
		}
	})
}

// eachBlock calls f with exactly size octets in pieces.
func eachBlock(w *wire, size int64, f func([]byte)) error {
	for size > 0 {
		block, err := nextBlock(w)
		if err != nil {
			return err
		}
		if int64(len(block)) > size {
			block = block[:size]
		}
		f(block)
		size -= int64(len(block))
		w.in.Discard(len(block))
	}
	return nil
}
