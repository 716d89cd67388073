package mta

import (
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// What the host can answer. Compare with [errors.Is].
const (
	ErrNotFound    = abi.NotFound
	ErrBadArgument = abi.BadArg
	ErrWrongStage  = abi.WrongStage  // not in this hook, or not with such a client
	ErrNotGranted  = abi.NotGranted  // the operator did not grant it
	ErrLimit       = abi.Limit       // a bound of the host is reached
	ErrTimeout     = abi.Timeout     //
	ErrIO          = abi.IO          //
	ErrUnsupported = abi.Unsupported // such as a character set that the host cannot read
	ErrLoop        = abi.Loop        // what is automatic is not answered automatically
	ErrSigned      = abi.Signed      // the edit would break a signature that policy protects
)

// An OpError is what went wrong with which operation.
type OpError struct {
	Op  string // "set header field Subject"
	Err abi.Errno
}

// Error implements error.
func (e *OpError) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap gives the host's answer to [errors.Is].
func (e *OpError) Unwrap() error { return e.Err }

// failed makes an error of a negative result.
func failed(op string, result int32) error {
	if result >= 0 {
		return nil
	}
	return &OpError{Op: op, Err: abi.Errno(result)}
}

// failedOn is failed, with the operation's object.
func failedOn(op, object string, result int32) error {
	if result >= 0 {
		return nil
	}
	return &OpError{Op: op + " " + object, Err: abi.Errno(result)}
}

// scratch is what the host writes results to. It grows when one is larger.
var scratch = make([]byte, 4096)

// read returns what call writes, valid until the next read.
func read(call func(buf []byte) int32) ([]byte, abi.Errno) {
	n := call(scratch)
	if n > int32(len(scratch)) {
		scratch = make([]byte, int(n)+int(n)/2)
		n = call(scratch)
	}
	if n < 0 {
		return nil, abi.Errno(n)
	}
	return scratch[:min(int(n), len(scratch))], abi.OK
}

// blob makes octets a blob of the host.
func blob(octets ...[]byte) int32 {
	h := guest.BlobNew()
	for i := 0; i < len(octets) && h >= 0; i++ {
		if e := guest.BlobWrite(h, octets[i]); e < 0 {
			h = e
		}
	}
	return h
}
