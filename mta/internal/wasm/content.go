package wasm

import (
	"errors"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/host"
)

func open(c mail.Content) (host.Message, error)   { return nil, errors.ErrUnsupported }
func replace(octets []byte) (host.Message, error) { return nil, errors.ErrUnsupported }
func contentOf(m host.Message) mail.Content       { return nil }
