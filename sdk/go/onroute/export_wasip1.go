package onroute

import (
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

//go:wasmexport on_route
func run() int32 { return guest.Run(abi.HookRoute) }
