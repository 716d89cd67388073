package queue

import (
	"io"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// watched is content that notes whether reading it fails: then it is not the next
// hop's doing, nor the message store's, that the message did not arrive.
type watched struct {
	mail.Content
	mu  sync.Mutex
	bad error // the first
}

// watch returns content for one attempt, and what tells of the error afterwards.
// What can be read at any offset was made here, and cannot fail.
func watch(c mail.Content) (mail.Content, func() error) {
	if _, ok := c.(mail.Octets); ok {
		return c, func() error { return nil }
	}
	w := &watched{Content: c}
	return w, w.failed
}

// failed is how reading failed; nil: it did not.
func (w *watched) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bad
}

func (w *watched) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bad == nil {
		w.bad = err
	}
}

// Open implements [mail.Content].
func (w *watched) Open() (io.ReadCloser, error) {
	r, err := w.Content.Open()
	if err != nil {
		w.note(err)
		return nil, err
	}
	return &watchedReader{r, w}, nil
}

type watchedReader struct {
	io.ReadCloser
	content *watched
}

// Read implements [io.Reader].
func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.ReadCloser.Read(b)
	if err != nil && err != io.EOF {
		r.content.note(err)
	}
	return n, err
}
