// Command declare writes what each SDK has of package abi, the numbers and the
// declarations of the host's functions, into the SDKs' sources: between a line
// with "generated from sdk/abi" and one with "end of what is generated".
//
//	go run ./internal/declare    # in sdk
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

const (
	begin = "generated from sdk/abi by `go generate ./sdk`; do not edit"
	end   = "end of what is generated"
)

// A target is a file with a generated piece.
type target struct {
	file  string
	write func(*bytes.Buffer, *surface)
}

var targets = []target{
	{"c/mta.h", writeC},
	{"rust/src/raw.rs", writeRust},
	{"zig/mta.zig", writeZig},
	{"assemblyscript/numbers.ts", writeAssemblyScriptNumbers},
	{"assemblyscript/raw.ts", writeAssemblyScript},
}

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run brings all files below the folder sdk up to date.
func run(sdk string) error {
	s, err := readSurface(filepath.Join(sdk, "abi"))
	if err != nil {
		return err
	}
	for _, t := range targets {
		file := filepath.Join(sdk, filepath.FromSlash(t.file))
		old, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		now, err := t.replace(old, s)
		if err != nil {
			return err
		}
		if bytes.Equal(old, now) {
			continue
		}
		if err := os.WriteFile(file, now, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// replace gives the file with the generated piece as it has to be.
func (t target) replace(old []byte, s *surface) ([]byte, error) {
	head, rest, ok := bytes.Cut(old, []byte(begin+"\n"))
	i := bytes.Index(rest, []byte(end))
	if !ok || i < 0 {
		return nil, fmt.Errorf("%s has no place for what is generated", t.file)
	}
	last := rest[bytes.LastIndexByte(rest[:i], '\n')+1:] // the line with end
	var out bytes.Buffer
	out.Write(head)
	out.WriteString(begin + "\n")
	t.write(&out, s)
	out.Write(last)
	return out.Bytes(), nil
}
