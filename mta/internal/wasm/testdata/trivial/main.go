// Trivial is a plugin that inserts one header field, over the bare ABI.
package main

import "unsafe"

//go:wasmimport mta1 hdr_insert
func hdrInsert(part, index int32, name, value string) int32

//go:wasmimport mta1 msg_size
func msgSize() int64

//go:wasmimport mta1 ctx_get
func ctxGet(key string, buf unsafe.Pointer, capacity int32) int32

//go:wasmexport on_message
func onMessage() int32 {
	hdrInsert(0, 0, "X-Trivial", "yes")
	return 0
}

//go:wasmexport on_helo
func onHelo() int32 { return 0 }

//go:wasmexport on_mail
func onMail() int32 {
	msgSize()
	return 0
}

//go:wasmexport on_data
func onData() int32 { panic("at the disco") }

//go:wasmexport on_rcpt
func onRcpt() int32 {
	var all [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		all = append(all, b)
		if len(all) > 1<<30 {
			return int32(len(all))
		}
	}
}

func main() {}
