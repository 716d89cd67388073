package mta

import (
	"strings"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// KV is the plugin's store of keys and values, with the grant kv. What is done
// there counts at once, and stays whatever becomes of the message.
var KV Store

// A Store keeps keys and values. A ttl of zero is for ever.
type Store struct{}

// Get is the value of a key; ok is false if there is none, or not any more.
func (Store) Get(key string) (value []byte, ok bool, err error) {
	b, e := read(func(buf []byte) int32 { return guest.KvGet(key, buf) })
	if e == abi.NotFound {
		return nil, false, nil
	}
	return append([]byte(nil), b...), e == abi.OK, failedOn("get", key, int32(e))
}

// Set sets a key.
func (Store) Set(key string, value []byte, ttl time.Duration) error {
	return failedOn("set", key, guest.KvSet(key, value, milliseconds(ttl)))
}

// Delete removes a key, if it is there.
func (Store) Delete(key string) error { return failedOn("delete", key, guest.KvDel(key)) }

// Add adds to a counter, and returns what it is then. One that is not there
// begins at zero, and lives for ttl from then on: later calls do not prolong
// it.
func (Store) Add(key string, delta int64, ttl time.Duration) (int64, error) {
	var n int64
	e := guest.KvAdd(key, delta, milliseconds(ttl), &n)
	return n, failedOn("add to", key, e)
}

// Swap sets a key to next if its value is old, and tells whether it was. An
// empty old stands for a key that is not there, an empty next removes it.
func (Store) Swap(key string, old, next []byte, ttl time.Duration) (bool, error) {
	n := guest.KvCas(key, old, next, milliseconds(ttl))
	return n == 1, failedOn("swap", key, n)
}

// milliseconds rounds up, as zero is for ever.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// Types of [Lookup].
const (
	TypeA     = 1
	TypeNS    = 2
	TypeCNAME = 5
	TypePTR   = 12
	TypeMX    = 15
	TypeTXT   = 16
	TypeAAAA  = 28
	TypeSRV   = 33
)

// Lookup asks the DNS for records of a type, with the grant dns. Each is what a
// zone file has after the type: "10 mx.example.org."; of TXT it is the text.
// No such record is [ErrNotFound].
func Lookup(qtype uint16, name string) ([]string, error) {
	b, e := read(func(buf []byte) int32 { return guest.DNS(int32(qtype), name, buf) })
	if e != abi.OK {
		return nil, failedOn("look up", name, int32(e))
	}
	return strings.Split(string(b), "\n"), nil
}

// Count adds to a counter in the server's metrics, which are the plugin's own.
// Names are of lower case letters, digits and underscores.
func Count(name string, delta int64) { guest.Counter(name, delta) }

// Observe puts a value into a histogram in the server's metrics.
func Observe(name string, value float64) { guest.Observe(name, value) }

// Version is the server's version of the ABI.
func Version() (major, minor int) {
	v := guest.AbiVersion()
	return int(v >> 16), int(v & 0xffff)
}

// Has tells whether the server has a function of the ABI, or an operation of
// [Call], and the plugin may use it.
func Has(name string) bool { return guest.Has(name) == 1 }

// Call runs an operation of the server by its name, such as
// "org.wasmta.address.normalize". One that it does not know is
// [ErrUnsupported].
func Call(op string, in []byte) ([]byte, error) {
	b, e := read(func(buf []byte) int32 { return guest.Call(op, in, buf) })
	if e != abi.OK {
		return nil, failedOn("call", op, int32(e))
	}
	return append([]byte(nil), b...), nil
}
