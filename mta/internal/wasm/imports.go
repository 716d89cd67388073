package wasm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/sdk/abi"
)

var errNoCall = errors.New("host function called outside of a hook")

// imports are the functions of [abi.Module] over a guest's parameters: place 0
// is the first core value. Their types are in [abi.Functions].
var imports = map[string]func(*guest){
	"abi_version": func(g *guest) { g.number(g.AbiVersion()) },
	"has":         func(g *guest) { g.number(g.Has(g.str(0))) },
	"call": func(g *guest) {
		b, e := g.Call.Call(g.str(0), g.view(2))
		g.out(4, b, e)
	},
	"config":      func(g *guest) { b, e := g.Config(); g.out(0, b, e) },
	"log":         func(g *guest) { g.log(abi.Level(g.i32(0)), g.str(1)) },
	"log_enabled": func(g *guest) { g.number(g.LogEnabled(abi.Level(g.i32(0)))) },
	"ctx_get":     func(g *guest) { s, e := g.CtxGet(g.str(0)); g.text(2, s, e) },
	"ctx_json":    func(g *guest) { b, e := g.CtxJSON(); g.out(0, b, e) },
	"note_get":    func(g *guest) { s, e := g.NoteGet(g.i32(0), g.str(1)); g.text(3, s, e) },
	"note_set":    func(g *guest) { g.errno(g.NoteSet(g.i32(0), g.str(1), g.str(3))) },
	"deadline_ms": func(g *guest) { g.number(g.DeadlineMS()) },
	"now_ms":      func(g *guest) { g.stack[0] = uint64(g.NowMS()) },
	"random":      func(g *guest) { g.number(g.Random(g.view(0))) },

	"sender_get":  func(g *guest) { s, e := g.SenderGet(); g.text(0, s, e) },
	"sender_set":  func(g *guest) { g.errno(g.SenderSet(g.str(0))) },
	"rcpt_count":  func(g *guest) { g.number(g.RcptCount()) },
	"rcpt_at":     func(g *guest) { g.number(g.RcptAt(g.i32(0))) },
	"rcpt_add":    func(g *guest) { g.number(g.RcptAdd(g.str(0))) },
	"rcpt_set":    func(g *guest) { g.errno(g.RcptSet(g.i32(0), g.str(1))) },
	"rcpt_remove": func(g *guest) { g.errno(g.RcptRemove(g.i32(0))) },
	"rcpt_get":    func(g *guest) { s, e := g.RcptGet(g.i32(0), g.i32(1)); g.text(2, s, e) },
	"rcpt_reply":  func(g *guest) { g.errno(g.RcptReply(g.i32(0), g.i32(1), g.str(2), g.str(4))) },
	"reply":       func(g *guest) { g.errno(g.Reply(g.i32(0), g.str(1), g.str(3))) },

	"hdr_count":      func(g *guest) { g.number(g.HdrCount(g.i32(0))) },
	"hdr_find":       func(g *guest) { g.number(g.HdrFind(g.i32(0), g.str(1), g.i32(3))) },
	"hdr_name":       func(g *guest) { s, e := g.HdrName(g.i32(0), g.i32(1)); g.text(2, s, e) },
	"hdr_value":      func(g *guest) { b, e := g.HdrValue(g.i32(0), g.i32(1), g.i32(2)); g.out(3, b, e) },
	"hdr_block":      func(g *guest) { b, e := g.HdrBlock(g.i32(0)); g.out(1, b, e) },
	"hdr_insert":     func(g *guest) { g.errno(g.HdrInsert(g.i32(0), g.i32(1), g.str(2), g.str(4))) },
	"hdr_insert_raw": func(g *guest) { g.errno(g.HdrInsertRaw(g.i32(0), g.i32(1), g.str(2))) },
	"hdr_set":        func(g *guest) { g.errno(g.HdrSet(g.i32(0), g.i32(1), g.str(2))) },
	"hdr_remove":     func(g *guest) { g.errno(g.HdrRemove(g.i32(0), g.i32(1))) },
	"hdr_remove_all": func(g *guest) { g.number(g.HdrRemoveAll(g.i32(0), g.str(1))) },

	"part_first":   func(g *guest) { g.number(g.PartFirst(g.i32(0))) },
	"part_next":    func(g *guest) { g.number(g.PartNext(g.i32(0))) },
	"part_parent":  func(g *guest) { g.number(g.PartParent(g.i32(0))) },
	"part_find":    func(g *guest) { g.number(g.PartFind(g.str(0), g.i32(2))) },
	"part_info":    func(g *guest) { s, e := g.PartInfo(g.i32(0), g.i32(1)); g.text(2, s, e) },
	"part_flags":   func(g *guest) { g.number(g.PartFlags(g.i32(0))) },
	"part_size":    func(g *guest) { g.stack[0] = uint64(g.PartSize(g.i32(0), g.i32(1))) },
	"part_read":    func(g *guest) { g.read(3, func(b []byte) int32 { return g.PartRead(g.i32(0), g.i32(1), g.i64(2), b) }) },
	"blob_new":     func(g *guest) { g.number(g.BlobNew()) },
	"blob_write":   func(g *guest) { g.errno(g.BlobWrite(g.i32(0), g.view(1))) },
	"part_replace": func(g *guest) { g.errno(g.PartReplace(g.i32(0), g.str(1), g.i32(3))) },
	"part_insert": func(g *guest) {
		g.number(g.PartInsert(g.i32(0), g.i32(1), g.str(2), g.str(4), g.i32(6)))
	},
	"part_remove": func(g *guest) { g.errno(g.PartRemove(g.i32(0))) },
	"part_wrap":   func(g *guest) { g.number(g.PartWrap(g.i32(0), g.str(1))) },
	"msg_size":    func(g *guest) { g.stack[0] = uint64(g.MsgSize()) },
	"msg_read":    func(g *guest) { g.read(1, func(b []byte) int32 { return g.MsgRead(g.i64(0), b) }) },
	"msg_replace": func(g *guest) { g.errno(g.MsgReplace(g.i32(0))) },

	"route":      func(g *guest) { g.errno(g.Route(g.i32(0), g.str(1), g.i32(3), g.i32(4))) },
	"deliver":    func(g *guest) { g.errno(g.Deliver(g.i32(0), g.str(1), g.str(3), g.str(5))) },
	"retry_at":   func(g *guest) { g.errno(g.RetryAt(g.i32(0), g.i64(1))) },
	"quarantine": func(g *guest) { g.errno(g.Quarantine(g.str(0))) },
	"variant_new": func(g *guest) {
		ids := make([]int32, 0, len(g.view(0))/4)
		for b := g.view(0); len(b) >= 4; b = b[4:] {
			ids = append(ids, int32(binary.LittleEndian.Uint32(b)))
		}
		g.number(g.VariantNew(ids))
	},
	"variant_select": func(g *guest) { g.errno(g.VariantSelect(g.i32(0))) },
	"send":           func(g *guest) { g.errno(g.Send(g.str(0), g.str(2), g.i32(4))) },

	"kv_get": func(g *guest) { b, e := g.KvGet(g.str(0)); g.out(2, b, e) },
	"kv_set": func(g *guest) { g.errno(g.KvSet(g.str(0), g.view(2), g.i64(4))) },
	"kv_del": func(g *guest) { g.errno(g.KvDel(g.str(0))) },
	"kv_add": func(g *guest) {
		key := g.str(0)
		out := g.octets8(4)
		n, e := g.KvAdd(key, g.i64(2), g.i64(3))
		if e == abi.OK {
			binary.LittleEndian.PutUint64(out, uint64(n))
		}
		g.errno(e)
	},
	"kv_cas":  func(g *guest) { g.number(g.KvCas(g.str(0), g.view(2), g.view(4), g.i64(6))) },
	"dns":     func(g *guest) { s, e := g.DNS(g.i32(0), g.str(1)); g.text(3, s, e) },
	"counter": func(g *guest) { g.Counter(g.str(0), g.i64(2)) },
	"observe": func(g *guest) { g.Observe(g.str(0), math.Float64frombits(g.stack[2])) },
}

// addImports builds the host's module from the table of the ABI.
func addImports(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(abi.Module)
	for _, f := range abi.Functions {
		do, ok := imports[f.Name]
		if !ok {
			return fmt.Errorf("function %s of the table has no implementation", f.Name)
		}
		params, results := coreTypes(f)
		b.NewFunctionBuilder().WithGoModuleFunction(bind(f.Name, do), params, results).Export(f.Name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// walks are the functions whose work grows with the message. The clock is
// looked at before each of them.
func walks(name string) bool {
	for _, prefix := range []string{"hdr_", "part_", "msg_", "variant_", "send", "kv_", "dns", "call"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// bind makes a function of the runtime, which takes its fuel before it works.
func bind(name string, do func(*guest)) api.GoModuleFunc {
	if walks(name) {
		return func(ctx context.Context, _ api.Module, stack []uint64) {
			g := guestOf(ctx, stack)
			g.gauge.look()
			g.gauge.enter(costCall + costWalk)
			before := g.Work()
			do(g)
			g.gauge.charge(costStep * max(g.Work()-before, 0))
		}
	}
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		g := guestOf(ctx, stack)
		g.gauge.enter(costCall)
		do(g)
	}
}

// coreTypes is a function's type as the runtime has it.
func coreTypes(f abi.Function) (params, results []api.ValueType) {
	p, r := f.Core()
	return valueTypes(p), valueTypes(r)
}

var valueType = map[abi.Kind]api.ValueType{
	abi.I32: api.ValueTypeI32, abi.I64: api.ValueTypeI64, abi.F64: api.ValueTypeF64,
}

func valueTypes(kinds []abi.Kind) []api.ValueType {
	var types []api.ValueType
	for _, k := range kinds {
		types = append(types, valueType[k])
	}
	return types
}
