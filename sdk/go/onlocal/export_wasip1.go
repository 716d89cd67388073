package onlocal

import (
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

//go:wasmexport on_local
func run() int32 { return guest.Run(abi.HookLocal) }
