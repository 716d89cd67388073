package wasm

import (
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
