package mtatest

import (
	"bytes"

	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// open is a message as a plugin sees it.
func open(octets []byte) (host.Message, error) {
	return host.Tree(mimetree.Parse(bytes.NewReader(octets), mimetree.Limits{})), nil
}
