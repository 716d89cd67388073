package ondata

import (
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

//go:wasmexport on_data
func run() int32 { return guest.Run(abi.HookData) }
