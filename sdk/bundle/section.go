package bundle

import (
	"encoding/binary"
	"errors"
)

const (
	headerLen     = 8 // "\0asm" and the version
	customSection = 0
)

var (
	errModule    = errors.New("no WebAssembly module")
	errTruncated = errors.New("module ends within a section")
)

// sections walks over a module's sections. do gets the whole section and, if
// it is a custom one, its name and content; the name of others is empty.
func sections(wasm []byte, do func(section []byte, name string, content []byte) error) error {
	if len(wasm) < headerLen || string(wasm[:headerLen]) != "\x00asm\x01\x00\x00\x00" {
		return errModule
	}
	for rest := wasm[headerLen:]; len(rest) > 0; {
		content, after, err := counted(rest[1:])
		if err != nil {
			return err
		}
		section, name := rest[:len(rest)-len(after)], ""
		if rest[0] == customSection {
			octets, body, err := counted(content)
			if err != nil {
				return err
			}
			name, content = string(octets), body
		}
		if err := do(section, name, content); err != nil {
			return err
		}
		rest = after
	}
	return nil
}

// counted splits b into as many octets as the number at its start says, and
// what follows.
func counted(b []byte) (octets, rest []byte, err error) {
	n, width := binary.Uvarint(b[:min(len(b), binary.MaxVarintLen32)])
	if width <= 0 || n > uint64(len(b)-width) {
		return nil, nil, errTruncated
	}
	b = b[width:]
	return b[:n:n], b[n:], nil
}

func appendSection(wasm []byte, name string, content []byte) []byte {
	body := append(binary.AppendUvarint(nil, uint64(len(name))), name...)
	wasm = append(wasm, customSection)
	wasm = binary.AppendUvarint(wasm, uint64(len(body)+len(content)))
	return append(append(wasm, body...), content...)
}
