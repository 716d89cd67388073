package wasm

import (
	"context"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// open gives the message that a plugin works on. It reads nothing yet, unless
// the content cannot be read at any place.
func open(c mail.Content) (host.Message, error) {
	switch c := c.(type) {
	case *mimetree.Tree: // a stage before looked at it
		return host.Tree(c), nil
	case mail.Octets:
		return host.Tree(mimetree.Parse(c, mimetree.Limits{})), nil
	}
	b, err := mail.ReadAll(c)
	if err != nil {
		return nil, err
	}
	return host.Tree(mimetree.Parse(mail.Bytes(b), mimetree.Limits{})), nil
}

// watched is open for one call: what takes long in a large message ends when
// the call's time does. release ends the watch.
func watched(ctx context.Context, open func() (host.Message, error)) (opened func() (host.Message, error), release func()) {
	deadline, timed := ctx.Deadline()
	late := func() error {
		if timed && !time.Now().Before(deadline) {
			return context.DeadlineExceeded
		}
		return ctx.Err()
	}
	var tree *mimetree.Tree
	opened = func() (host.Message, error) {
		m, err := open()
		if err == nil {
			tree = host.TreeOf(m)
			tree.Interrupt(late)
		}
		return m, err
	}
	return opened, func() {
		if tree != nil {
			tree.Interrupt(nil)
		}
	}
}
