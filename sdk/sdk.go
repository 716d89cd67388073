// Package sdk has the files of the SDKs, for programs that build plugins or
// write the folder of a new one. A plugin imports the SDK of its language
// instead.
package sdk

import "embed"

//go:generate go run ./internal/declare

// Files are the SDKs' sources, below the names that they have here.
//
//go:embed go abi c rust zig assemblyscript javascript python ruby
var Files embed.FS
