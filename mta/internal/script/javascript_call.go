package script

import "github.com/wasmta/wasmta/mta/internal/linker"

// addHostCall defines what the function native of the API is:
//
//	JSValue *host_call(const char *name, int length, JSValue *this, int argc, JSValue **argv)
//
// Its first argument is a number. From zero on it is that of a function of the
// ABI, and the second argument an ArrayBuffer with the frame; below zero it is
// one of natives.
func (js *quickJS) addHostCall() {
	five := []linker.Type{linker.I32, linker.I32, linker.I32, linker.I32, linker.I32}
	js.Define(linker.Func{
		Name: "host_call", Signature: linker.Signature{Params: five, Results: []linker.Type{linker.I32}},
		Locals: []linker.Type{linker.I32, linker.I32},
		Body: func(c *linker.Code) {
			const number, temp = 5, 6
			js.integer(c, 0).Set(number)
			for i, native := range natives {
				c.Get(number).Const(-1 - i).Eq().If()
				native(js, c, temp)
				c.Return().End()
			}
			c.Get(number)
			js.buffer(c, 1).Call(dispatch)
			c.Call("qjs_get_undefined")
		},
	})
}

// natives are the functions -1, -2 and so on. Each leaves the address of its
// result on the stack.
var natives = []func(js *quickJS, c *linker.Code, temp int){
	// -1, address(buffer): where an ArrayBuffer is in memory.
	func(js *quickJS, c *linker.Code, _ int) {
		js.buffer(c, 1).ToF64().Call("qjs_new_number")
	},
	// -2, string(address, length): the string of UTF-8 in memory.
	func(js *quickJS, c *linker.Code, _ int) {
		js.integer(c, 1)
		js.integer(c, 2).Call("qjs_new_string")
	},
	// -3, utf8(string, buffer): writes the address and the length of the
	// string's UTF-8 into the buffer.
	func(js *quickJS, c *linker.Code, temp int) {
		js.buffer(c, 2).Set(temp)
		c.Get(temp)
		js.argument(c, 1)
		js.at(c, js.length).Call("qjs_get_string_len").Store(linker.I32, 0)
		c.Get(temp)
		js.at(c, js.length).Load(linker.I32, 0).Store(linker.I32, 4)
		c.Call("qjs_get_undefined")
	},
	// -4, release(address): gives back what utf8 took.
	func(js *quickJS, c *linker.Code, _ int) {
		js.integer(c, 1).Call("qjs_free_cstring")
		c.Call("qjs_get_undefined")
	},
	// -5, answer(number): what the hook returns.
	func(js *quickJS, c *linker.Code, _ int) {
		js.integer(c, 1).GlobalSet(answer)
		c.Call("qjs_get_undefined")
	},
	// -6, copy(address, length): a Uint8Array of what is in memory.
	func(js *quickJS, c *linker.Code, _ int) {
		js.integer(c, 1)
		js.integer(c, 2).Call("qjs_new_uint8_array")
	},
}

// argument puts the address of argument i on the stack.
func (js *quickJS) argument(c *linker.Code, i int) *linker.Code {
	const argv = 4
	return c.Get(argv).Load(linker.I32, 4*i)
}

// integer puts argument i, a number, on the stack.
func (js *quickJS) integer(c *linker.Code, i int) *linker.Code {
	return js.argument(c, i).Call("qjs_get_float64").ToI32()
}

// buffer puts the address of the octets of argument i, an ArrayBuffer, on the
// stack.
func (js *quickJS) buffer(c *linker.Code, i int) *linker.Code {
	js.argument(c, i)
	return js.at(c, js.length).Call("qjs_get_array_buffer")
}
