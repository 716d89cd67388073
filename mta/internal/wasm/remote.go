package wasm

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/wasmta/wasmta/sdk/abi"
)

// The bounds of a call that a loop writes.
const (
	maxCapacity = 16 << 20 // octets that it may ask for at once, or have before it reads them
	costJSON    = 10       // units for each octet that is encoded or decoded
)

// segments are the memory of a guest that gives octets, not pointers: each
// octet string has its place as its pointer.
type segments [][]byte

// Read implements [octetsAt].
func (s segments) Read(p, n uint32) ([]byte, bool) {
	if int(p) >= len(s) || int(n) > len(s[p]) {
		return nil, false
	}
	return s[p][:n], true
}

// remote calls a function of the ABI by its name, with arguments in JSON
// (sdk/WASI.md). The error is one of the guest.
func (p *Plugin) remote(g *guest, name string, args []json.RawMessage, octets []byte) (frame, error) {
	f, ok := abi.Lookup(name)
	switch {
	case !ok:
		return result(int64(abi.Unsupported), nil, nil)
	case !p.granted(f.Grant):
		return result(int64(abi.NotGranted), nil, nil)
	}
	stack, memory, err := parameters(g.gauge, f, args, octets)
	if err != nil {
		return frame{}, err
	}
	c := &callContext{guest: guest{Call: g.Call, memory: memory, gauge: g.gauge, files: g.files}}
	bind(name, imports[name])(c, nil, stack)
	return results(f, stack, memory)
}

// parameters puts arguments where a guest of the ABI would have them. Room for
// what a function gives costs what it would cost to fill it.
func parameters(g *gauge, f abi.Function, args []json.RawMessage, octets []byte) (stack []uint64, memory segments, err error) {
	taken := false
	for _, param := range f.Params {
		if param.Kind == abi.OutI64 {
			stack = append(stack, uint64(len(memory)))
			memory = append(memory, make([]byte, 8))
			continue
		}
		if len(args) == 0 {
			return nil, nil, fmt.Errorf("no argument for %s", param.Name)
		}
		arg := args[0]
		args = args[1:]
		var segment []byte
		switch param.Kind {
		case abi.In:
			segment, err = inOctets(arg, octets, &taken)
		case abi.Out:
			var n uint32
			if err = json.Unmarshal(arg, &n); err == nil && n > maxCapacity {
				err = fmt.Errorf("capacity of %d, %d is the most", n, maxCapacity)
			}
			n = min(n, maxCapacity)
			g.copied(int(n))
			segment = make([]byte, n)
		default:
			var v uint64
			v, err = number(param.Kind, arg)
			stack = append(stack, v)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("argument %s: %w", param.Name, err)
		}
		if param.Kind == abi.In || param.Kind == abi.Out {
			stack = append(stack, uint64(len(memory)), uint64(len(segment)))
			memory = append(memory, segment)
		}
	}
	if len(args) > 0 {
		return nil, nil, errors.New("too many arguments")
	}
	return append(stack, 0), memory, nil // there is a place for the result
}

// inOctets is a string, or null for the octets of the frame.
func inOctets(arg json.RawMessage, octets []byte, taken *bool) ([]byte, error) {
	if string(arg) == "null" {
		if *taken {
			return nil, errors.New("null stands twice")
		}
		*taken = true
		return octets, nil
	}
	var s string
	err := json.Unmarshal(arg, &s)
	return []byte(s), err
}

// results reads what a function left.
func results(f abi.Function, stack []uint64, memory segments) (frame, error) {
	n := int64(0)
	switch f.Result {
	case abi.I32:
		n = int64(int32(uint32(stack[0])))
	case abi.I64:
		n = int64(stack[0])
	}
	var octets []byte
	var value *int64
	at := 0
	for _, param := range f.Params {
		switch param.Kind {
		case abi.Out:
			octets = written(n, memory[at])
			at++
		case abi.OutI64:
			v := int64(binary.LittleEndian.Uint64(memory[at]))
			value = &v
			at++
		case abi.In:
			at++
		}
	}
	return result(n, value, octets)
}

// written is what a function put into a buffer.
func written(n int64, buffer []byte) []byte {
	if n <= 0 || n > int64(len(buffer)) {
		return nil
	}
	return buffer[:n]
}

// number is a JSON number as a parameter of that kind.
func number(kind abi.Kind, arg json.RawMessage) (uint64, error) {
	switch kind {
	case abi.I32:
		var v int32
		err := json.Unmarshal(arg, &v)
		return uint64(uint32(v)), err
	case abi.I64:
		var v int64
		err := json.Unmarshal(arg, &v)
		return uint64(v), err
	}
	var v float64
	err := json.Unmarshal(arg, &v)
	return math.Float64bits(v), err
}

func result(n int64, value *int64, octets []byte) (frame, error) {
	text, err := json.Marshal(struct {
		Result int64  `json:"result"`
		Value  *int64 `json:"value,omitempty"`
	}{n, value})
	return frame{text, octets}, err
}
