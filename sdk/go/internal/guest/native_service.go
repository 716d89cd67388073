//go:build !wasip1

package guest

import (
	"encoding/binary"

	"github.com/wasmta/wasmta/sdk/abi"
)

// services are the methods of [Host] beside the message.
type services interface {
	AbiVersion() int32
	CtxJSON() ([]byte, abi.Errno)
	Has(name string) int32
	Call(op string, in []byte) ([]byte, abi.Errno)

	RetryAt(rcpt int32, ms int64) abi.Errno
	VariantNew(ids []int32) int32
	VariantSelect(variant int32) abi.Errno
	Send(sender, recipients string, blob int32) abi.Errno

	KvGet(key string) ([]byte, abi.Errno)
	KvSet(key string, value []byte, ttlMS int64) abi.Errno
	KvDel(key string) abi.Errno
	KvAdd(key string, delta, ttlMS int64) (int64, abi.Errno)
	KvCas(key string, old, value []byte, ttlMS int64) int32
	DNS(qtype int32, name string) (string, abi.Errno)
	Counter(name string, delta int64)
	Observe(name string, value float64)
}

func AbiVersion() int32 { return Current.AbiVersion() }

func CtxJSON(buf []byte) int32 {
	b, e := Current.CtxJSON()
	return out(b, e, buf)
}

func Has(name string) int32 { return Current.Has(name) }

func Call(op string, in, buf []byte) int32 {
	b, e := Current.Call(op, in)
	return out(b, e, buf)
}

func RetryAt(rcpt int32, ms int64) int32 { return int32(Current.RetryAt(rcpt, ms)) }

func VariantNew(ids []byte) int32 {
	var list []int32
	for ; len(ids) >= 4; ids = ids[4:] {
		list = append(list, int32(binary.LittleEndian.Uint32(ids)))
	}
	return Current.VariantNew(list)
}

func VariantSelect(variant int32) int32 { return int32(Current.VariantSelect(variant)) }

func Send(sender, recipients string, blob int32) int32 {
	return int32(Current.Send(sender, recipients, blob))
}

func KvGet(key string, buf []byte) int32 {
	b, e := Current.KvGet(key)
	return out(b, e, buf)
}

func KvSet(key string, value []byte, ttlMS int64) int32 {
	return int32(Current.KvSet(key, value, ttlMS))
}

func KvDel(key string) int32 { return int32(Current.KvDel(key)) }

func KvAdd(key string, delta, ttlMS int64, sum *int64) int32 {
	n, e := Current.KvAdd(key, delta, ttlMS)
	if e == abi.OK {
		*sum = n
	}
	return int32(e)
}

func KvCas(key string, old, value []byte, ttlMS int64) int32 {
	return Current.KvCas(key, old, value, ttlMS)
}

func DNS(qtype int32, name string, buf []byte) int32 {
	s, e := Current.DNS(qtype, name)
	return out(s, e, buf)
}

func Counter(name string, delta int64) { Current.Counter(name, delta) }

func Observe(name string, value float64) { Current.Observe(name, value) }
