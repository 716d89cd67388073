package host

import "github.com/wasmta/wasmta/sdk/abi"

// A Message is the content that a call works on, as the ABI sees it. Parts
// have IDs, [abi.Root] is the message itself; header fields have places from
// zero. What a method is given has been checked for line breaks already.
type Message interface {
	// Mark names the state of the message, Rollback goes back to it.
	Mark() int
	Rollback(mark int)

	// Fork is a message of its own that begins as this one is now, with the
	// same IDs. Marks of one mean nothing to the other.
	Fork() (Message, abi.Errno)

	Size() int64
	ReadAt(p []byte, offset int64) (int, error)

	HdrCount(part int32) (int32, abi.Errno)
	HdrFind(part int32, name string, from int32) (int32, abi.Errno)
	HdrName(part, index int32) (string, abi.Errno)
	HdrValue(part, index, mode int32) ([]byte, abi.Errno)
	HdrBlock(part int32) ([]byte, abi.Errno)
	HdrInsert(part, index int32, name, value string) abi.Errno
	HdrInsertRaw(part, index int32, field string) abi.Errno
	HdrSet(part, index int32, value string) abi.Errno
	HdrRemove(part, index int32) abi.Errno

	PartFirst(id int32) (int32, abi.Errno)
	PartNext(id int32) (int32, abi.Errno)
	PartParent(id int32) (int32, abi.Errno)
	PartFind(mediaType string, from int32) (int32, abi.Errno)
	PartInfo(id, what int32) (string, abi.Errno)
	PartFlags(id int32) (int32, abi.Errno)
	PartSize(id, mode int32) (int64, abi.Errno)
	PartRead(id, mode int32, offset int64, p []byte) (int, abi.Errno)
	PartReplace(id int32, mediaType string, body []byte) abi.Errno
	PartInsert(parent, index int32, mediaType, filename string, body []byte) (int32, abi.Errno)
	PartRemove(id int32) abi.Errno
	PartWrap(id int32, mediaType string) (int32, abi.Errno)

	MsgReplace(octets []byte) abi.Errno // octets are the message's own from here on
}
