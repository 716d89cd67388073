package onconnect

import (
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

//go:wasmexport on_connect
func run() int32 { return guest.Run(abi.HookConnect) }
