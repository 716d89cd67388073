//go:build wasip1

package guest

import "unsafe"

// AbiVersion is abi_version.
//
//go:wasmimport mta1 abi_version
func AbiVersion() int32

//go:wasmimport mta1 ctx_json
//go:noescape
func ctxJSON(buf unsafe.Pointer, size int32) int32

// CtxJSON is ctx_json.
func CtxJSON(buf []byte) int32 { return ctxJSON(ptr(buf), size(buf)) }

// Has is has.
//
//go:wasmimport mta1 has
//go:noescape
func Has(name string) int32

//go:wasmimport mta1 call
//go:noescape
func call(op string, in unsafe.Pointer, inSize int32, buf unsafe.Pointer, size int32) int32

// Call is call.
func Call(op string, in, buf []byte) int32 {
	return call(op, ptr(in), size(in), ptr(buf), size(buf))
}

// RetryAt is retry_at.
//
//go:wasmimport mta1 retry_at
func RetryAt(rcpt int32, ms int64) int32

//go:wasmimport mta1 variant_new
//go:noescape
func variantNew(ids unsafe.Pointer, size int32) int32

// VariantNew is variant_new: IDs of four octets each, little-endian.
func VariantNew(ids []byte) int32 { return variantNew(ptr(ids), size(ids)) }

// VariantSelect is variant_select.
//
//go:wasmimport mta1 variant_select
func VariantSelect(variant int32) int32

// Send is send.
//
//go:wasmimport mta1 send
//go:noescape
func Send(sender, recipients string, blob int32) int32

//go:wasmimport mta1 kv_get
//go:noescape
func kvGet(key string, buf unsafe.Pointer, size int32) int32

// KvGet is kv_get.
func KvGet(key string, buf []byte) int32 { return kvGet(key, ptr(buf), size(buf)) }

//go:wasmimport mta1 kv_set
//go:noescape
func kvSet(key string, value unsafe.Pointer, size int32, ttlMS int64) int32

// KvSet is kv_set.
func KvSet(key string, value []byte, ttlMS int64) int32 {
	return kvSet(key, ptr(value), size(value), ttlMS)
}

// KvDel is kv_del.
//
//go:wasmimport mta1 kv_del
//go:noescape
func KvDel(key string) int32

// KvAdd is kv_add.
//
//go:wasmimport mta1 kv_add
//go:noescape
func KvAdd(key string, delta, ttlMS int64, sum *int64) int32

//go:wasmimport mta1 kv_cas
//go:noescape
func kvCas(key string, old unsafe.Pointer, oldSize int32, value unsafe.Pointer, valueSize int32, ttlMS int64) int32

// KvCas is kv_cas.
func KvCas(key string, old, value []byte, ttlMS int64) int32 {
	return kvCas(key, ptr(old), size(old), ptr(value), size(value), ttlMS)
}

//go:wasmimport mta1 dns
//go:noescape
func dns(qtype int32, name string, buf unsafe.Pointer, size int32) int32

// DNS is dns.
func DNS(qtype int32, name string, buf []byte) int32 { return dns(qtype, name, ptr(buf), size(buf)) }

// Counter is counter.
//
//go:wasmimport mta1 counter
//go:noescape
func Counter(name string, delta int64)

// Observe is observe.
//
//go:wasmimport mta1 observe
//go:noescape
func Observe(name string, value float64)
