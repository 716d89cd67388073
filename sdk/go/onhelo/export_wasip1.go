package onhelo

import (
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

//go:wasmexport on_helo
func run() int32 { return guest.Run(abi.HookHelo) }
