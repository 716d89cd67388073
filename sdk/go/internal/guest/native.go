//go:build !wasip1

package guest

import "github.com/wasmta/wasmta/sdk/abi"

// A Host answers the calls of a plugin that runs natively, in a test. The
// methods are those of host.Call in sdk/host.
type Host interface {
	services

	Config() ([]byte, abi.Errno)
	Log(level abi.Level, text string)
	LogEnabled(level abi.Level) int32
	CtxGet(key string) (string, abi.Errno)
	NoteGet(scope int32, key string) (string, abi.Errno)
	NoteSet(scope int32, key, value string) abi.Errno
	DeadlineMS() int32
	NowMS() int64
	Random(p []byte) int32

	SenderGet() (string, abi.Errno)
	SenderSet(address string) abi.Errno
	RcptCount() int32
	RcptAt(index int32) int32
	RcptAdd(address string) int32
	RcptSet(id int32, address string) abi.Errno
	RcptRemove(id int32) abi.Errno
	RcptGet(id, field int32) (string, abi.Errno)
	RcptReply(id, code int32, enhanced, text string) abi.Errno
	Reply(code int32, enhanced, text string) abi.Errno
	Route(rcpt int32, host string, port, flags int32) abi.Errno
	Deliver(rcpt int32, mailbox, folder, flags string) abi.Errno
	Quarantine(reason string) abi.Errno

	HdrCount(part int32) int32
	HdrFind(part int32, name string, from int32) int32
	HdrName(part, index int32) (string, abi.Errno)
	HdrValue(part, index, mode int32) ([]byte, abi.Errno)
	HdrBlock(part int32) ([]byte, abi.Errno)
	HdrInsert(part, index int32, name, value string) abi.Errno
	HdrInsertRaw(part, index int32, field string) abi.Errno
	HdrSet(part, index int32, value string) abi.Errno
	HdrRemove(part, index int32) abi.Errno
	HdrRemoveAll(part int32, name string) int32

	PartFirst(id int32) int32
	PartNext(id int32) int32
	PartParent(id int32) int32
	PartFind(mediaType string, from int32) int32
	PartInfo(id, what int32) (string, abi.Errno)
	PartFlags(id int32) int32
	PartSize(id, mode int32) int64
	PartRead(id, mode int32, offset int64, p []byte) int32
	BlobNew() int32
	BlobWrite(blob int32, octets []byte) abi.Errno
	PartReplace(id int32, mediaType string, blob int32) abi.Errno
	PartInsert(parent, index int32, mediaType, filename string, blob int32) int32
	PartRemove(id int32) abi.Errno
	PartWrap(id int32, mediaType string) int32
	MsgSize() int64
	MsgRead(offset int64, p []byte) int32
	MsgReplace(blob int32) abi.Errno
}

// Current answers the calls. There is one, as there is one instance of the
// plugin; sdk/go/mtatest sets it, under a lock, for each hook that it calls.
var Current Host

// out writes a result to buf if it fits, as the host does in WebAssembly.
func out[T string | []byte](result T, e abi.Errno, buf []byte) int32 {
	if e < 0 {
		return int32(e)
	}
	if len(result) <= len(buf) {
		copy(buf, result)
	}
	return int32(len(result))
}

func Config(buf []byte) int32 {
	b, e := Current.Config()
	return out(b, e, buf)
}

func Log(level int32, text string) { Current.Log(abi.Level(level), text) }

func LogEnabled(level int32) int32 { return Current.LogEnabled(abi.Level(level)) }

func CtxGet(key string, buf []byte) int32 {
	s, e := Current.CtxGet(key)
	return out(s, e, buf)
}

func NoteGet(scope int32, key string, buf []byte) int32 {
	s, e := Current.NoteGet(scope, key)
	return out(s, e, buf)
}

func NoteSet(scope int32, key, value string) int32 {
	return int32(Current.NoteSet(scope, key, value))
}

func DeadlineMS() int32 { return Current.DeadlineMS() }

func NowMS() int64 { return Current.NowMS() }

func Random(buf []byte) int32 { return Current.Random(buf) }

func SenderGet(buf []byte) int32 {
	s, e := Current.SenderGet()
	return out(s, e, buf)
}

func SenderSet(address string) int32 { return int32(Current.SenderSet(address)) }

func RcptCount() int32 { return Current.RcptCount() }

func RcptAt(index int32) int32 { return Current.RcptAt(index) }

func RcptAdd(address string) int32 { return Current.RcptAdd(address) }

func RcptSet(id int32, address string) int32 { return int32(Current.RcptSet(id, address)) }

func RcptRemove(id int32) int32 { return int32(Current.RcptRemove(id)) }

func RcptGet(id, field int32, buf []byte) int32 {
	s, e := Current.RcptGet(id, field)
	return out(s, e, buf)
}

func RcptReply(id, code int32, enhanced, text string) int32 {
	return int32(Current.RcptReply(id, code, enhanced, text))
}

func Reply(code int32, enhanced, text string) int32 {
	return int32(Current.Reply(code, enhanced, text))
}

func Route(rcpt int32, host string, port, flags int32) int32 {
	return int32(Current.Route(rcpt, host, port, flags))
}

func Deliver(rcpt int32, mailbox, folder, flags string) int32 {
	return int32(Current.Deliver(rcpt, mailbox, folder, flags))
}

func Quarantine(reason string) int32 { return int32(Current.Quarantine(reason)) }
