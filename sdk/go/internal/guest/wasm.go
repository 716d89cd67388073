//go:build wasip1

package guest

import "unsafe"

// Strings and slices go as pointer and length. The host is done with them when
// the call returns, so nothing escapes.

//go:wasmimport mta1 config
//go:noescape
func config(buf unsafe.Pointer, size int32) int32

// Config is config.
func Config(buf []byte) int32 { return config(ptr(buf), size(buf)) }

// Log is log.
//
//go:wasmimport mta1 log
//go:noescape
func Log(level int32, text string)

// LogEnabled is log_enabled.
//
//go:wasmimport mta1 log_enabled
func LogEnabled(level int32) int32

//go:wasmimport mta1 ctx_get
//go:noescape
func ctxGet(key string, buf unsafe.Pointer, size int32) int32

// CtxGet is ctx_get.
func CtxGet(key string, buf []byte) int32 { return ctxGet(key, ptr(buf), size(buf)) }

//go:wasmimport mta1 note_get
//go:noescape
func noteGet(scope int32, key string, buf unsafe.Pointer, size int32) int32

// NoteGet is note_get.
func NoteGet(scope int32, key string, buf []byte) int32 {
	return noteGet(scope, key, ptr(buf), size(buf))
}

// NoteSet is note_set.
//
//go:wasmimport mta1 note_set
//go:noescape
func NoteSet(scope int32, key, value string) int32

// DeadlineMS is deadline_ms.
//
//go:wasmimport mta1 deadline_ms
func DeadlineMS() int32

// NowMS is now_ms.
//
//go:wasmimport mta1 now_ms
func NowMS() int64

//go:wasmimport mta1 random
//go:noescape
func random(buf unsafe.Pointer, size int32) int32

// Random is random.
func Random(buf []byte) int32 { return random(ptr(buf), size(buf)) }

//go:wasmimport mta1 sender_get
//go:noescape
func senderGet(buf unsafe.Pointer, size int32) int32

// SenderGet is sender_get.
func SenderGet(buf []byte) int32 { return senderGet(ptr(buf), size(buf)) }

// SenderSet is sender_set.
//
//go:wasmimport mta1 sender_set
//go:noescape
func SenderSet(address string) int32

// RcptCount is rcpt_count.
//
//go:wasmimport mta1 rcpt_count
func RcptCount() int32

// RcptAt is rcpt_at.
//
//go:wasmimport mta1 rcpt_at
func RcptAt(index int32) int32

// RcptAdd is rcpt_add.
//
//go:wasmimport mta1 rcpt_add
//go:noescape
func RcptAdd(address string) int32

// RcptSet is rcpt_set.
//
//go:wasmimport mta1 rcpt_set
//go:noescape
func RcptSet(id int32, address string) int32

// RcptRemove is rcpt_remove.
//
//go:wasmimport mta1 rcpt_remove
func RcptRemove(id int32) int32

//go:wasmimport mta1 rcpt_get
//go:noescape
func rcptGet(id, field int32, buf unsafe.Pointer, size int32) int32

// RcptGet is rcpt_get.
func RcptGet(id, field int32, buf []byte) int32 { return rcptGet(id, field, ptr(buf), size(buf)) }

// RcptReply is rcpt_reply.
//
//go:wasmimport mta1 rcpt_reply
//go:noescape
func RcptReply(id, code int32, enhanced, text string) int32

// Reply is reply.
//
//go:wasmimport mta1 reply
//go:noescape
func Reply(code int32, enhanced, text string) int32

// Route is route.
//
//go:wasmimport mta1 route
//go:noescape
func Route(rcpt int32, host string, port, flags int32) int32

// Deliver is deliver.
//
//go:wasmimport mta1 deliver
//go:noescape
func Deliver(rcpt int32, mailbox, folder, flags string) int32

// Quarantine is quarantine.
//
//go:wasmimport mta1 quarantine
//go:noescape
func Quarantine(reason string) int32

func ptr(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

func size(b []byte) int32 { return int32(len(b)) }
