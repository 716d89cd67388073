package host_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
)

// A guest is the memory of a plugin that is not there: it calls functions of
// the ABI by their name, with core values, as a module does.
type guest struct {
	call   *host.Call
	memory [1 << 16]byte
}

// methods are the names of those that are not simply the function's.
var methods = map[string]string{
	"dns": "DNS", "ctx_json": "CtxJSON", "deadline_ms": "DeadlineMS", "now_ms": "NowMS",
}

func methodOf(function string) string {
	if name, ok := methods[function]; ok {
		return name
	}
	var b strings.Builder
	for word := range strings.SplitSeq(function, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// do calls a function. Its parameters and result are those of the table; an
// error says that they do not fit the method behind it.
func (g *guest) do(f abi.Function, args []int64) (result int64, err error) {
	params, _ := f.Core()
	if len(args) != len(params) {
		return 0, fmt.Errorf("%s takes %d values, not %d", f.Name, len(params), len(args))
	}
	m := reflect.ValueOf(g.call).MethodByName(methodOf(f.Name))
	if !m.IsValid() {
		return 0, fmt.Errorf("%s has no method", f.Name)
	}
	var in []reflect.Value
	var buf []byte  // that a result goes to
	var sum []byte  // that eight octets go to
	filled := false // the method writes to buf itself
	next := func() int64 { v := args[0]; args = args[1:]; return v }
	for _, p := range f.Params {
		switch p.Kind {
		case abi.In:
			b := g.view(next(), next())
			in = append(in, octetsAs(m.Type().In(len(in)), b))
		case abi.Out:
			buf = g.view(next(), next())
			if filled = m.Type().NumIn() > len(in); filled {
				in = append(in, reflect.ValueOf(buf))
			}
		case abi.OutI64:
			sum = g.view(next(), 8)
		case abi.F64:
			in = append(in, reflect.ValueOf(math.Float64frombits(uint64(next()))))
		default:
			in = append(in, reflect.ValueOf(next()).Convert(m.Type().In(len(in))))
		}
	}
	return g.answer(m.Call(in), buf, sum, filled)
}

// octetsAs is b as a method takes it.
func octetsAs(t reflect.Type, b []byte) reflect.Value {
	if t == reflect.TypeFor[[]int32]() {
		var ids []int32
		for ; len(b) >= 4; b = b[4:] {
			ids = append(ids, int32(binary.LittleEndian.Uint32(b)))
		}
		return reflect.ValueOf(ids)
	}
	return reflect.ValueOf(b).Convert(t)
}

// answer makes one number of what a method returned.
func (g *guest) answer(out []reflect.Value, buf, sum []byte, filled bool) (int64, error) {
	switch {
	case len(out) == 0:
		return 0, nil
	case len(out) == 1:
		return out[0].Int(), nil
	}
	if e := out[1].Int(); e != 0 {
		return e, nil
	}
	switch v := out[0]; {
	case v.Kind() == reflect.Int64 && sum != nil:
		binary.LittleEndian.PutUint64(sum, uint64(v.Int()))
		return 0, nil
	case filled || buf == nil && v.Len() > 0 && v.Kind() != reflect.String && v.Kind() != reflect.Slice:
		return 0, fmt.Errorf("a result of kind %s goes nowhere", v.Kind())
	default:
		b := v.Convert(reflect.TypeFor[[]byte]()).Bytes()
		if len(b) <= len(buf) {
			copy(buf, b)
		}
		return int64(len(b)), nil
	}
}

func (g *guest) view(at, n int64) []byte { return g.memory[at : at+n : at+n] }
