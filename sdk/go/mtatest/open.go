package mtatest

import (
	"errors"

	"github.com/wasmta/wasmta/sdk/host"
)

func open(octets []byte) (host.Message, error) { return nil, errors.ErrUnsupported }
