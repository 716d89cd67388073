//go:build wasip1

package guest

import "unsafe"

// HdrCount is hdr_count.
//
//go:wasmimport mta1 hdr_count
func HdrCount(part int32) int32

// HdrFind is hdr_find.
//
//go:wasmimport mta1 hdr_find
//go:noescape
func HdrFind(part int32, name string, from int32) int32

//go:wasmimport mta1 hdr_name
//go:noescape
func hdrName(part, index int32, buf unsafe.Pointer, size int32) int32

// HdrName is hdr_name.
func HdrName(part, index int32, buf []byte) int32 {
	return hdrName(part, index, ptr(buf), size(buf))
}

//go:wasmimport mta1 hdr_value
//go:noescape
func hdrValue(part, index, mode int32, buf unsafe.Pointer, size int32) int32

// HdrValue is hdr_value.
func HdrValue(part, index, mode int32, buf []byte) int32 {
	return hdrValue(part, index, mode, ptr(buf), size(buf))
}

//go:wasmimport mta1 hdr_block
//go:noescape
func hdrBlock(part int32, buf unsafe.Pointer, size int32) int32

// HdrBlock is hdr_block.
func HdrBlock(part int32, buf []byte) int32 { return hdrBlock(part, ptr(buf), size(buf)) }

// HdrInsert is hdr_insert.
//
//go:wasmimport mta1 hdr_insert
//go:noescape
func HdrInsert(part, index int32, name, value string) int32

// HdrInsertRaw is hdr_insert_raw.
//
//go:wasmimport mta1 hdr_insert_raw
//go:noescape
func HdrInsertRaw(part, index int32, field string) int32

// HdrSet is hdr_set.
//
//go:wasmimport mta1 hdr_set
//go:noescape
func HdrSet(part, index int32, value string) int32

// HdrRemove is hdr_remove.
//
//go:wasmimport mta1 hdr_remove
func HdrRemove(part, index int32) int32

// HdrRemoveAll is hdr_remove_all.
//
//go:wasmimport mta1 hdr_remove_all
//go:noescape
func HdrRemoveAll(part int32, name string) int32

// PartFirst is part_first.
//
//go:wasmimport mta1 part_first
func PartFirst(id int32) int32

// PartNext is part_next.
//
//go:wasmimport mta1 part_next
func PartNext(id int32) int32

// PartParent is part_parent.
//
//go:wasmimport mta1 part_parent
func PartParent(id int32) int32

// PartFind is part_find.
//
//go:wasmimport mta1 part_find
//go:noescape
func PartFind(mediaType string, from int32) int32

//go:wasmimport mta1 part_info
//go:noescape
func partInfo(id, what int32, buf unsafe.Pointer, size int32) int32

// PartInfo is part_info.
func PartInfo(id, what int32, buf []byte) int32 { return partInfo(id, what, ptr(buf), size(buf)) }

// PartFlags is part_flags.
//
//go:wasmimport mta1 part_flags
func PartFlags(id int32) int32

// PartSize is part_size.
//
//go:wasmimport mta1 part_size
func PartSize(id, mode int32) int64

//go:wasmimport mta1 part_read
//go:noescape
func partRead(id, mode int32, offset int64, buf unsafe.Pointer, size int32) int32

// PartRead is part_read.
func PartRead(id, mode int32, offset int64, buf []byte) int32 {
	return partRead(id, mode, offset, ptr(buf), size(buf))
}

// BlobNew is blob_new.
//
//go:wasmimport mta1 blob_new
func BlobNew() int32

//go:wasmimport mta1 blob_write
//go:noescape
func blobWrite(blob int32, octets unsafe.Pointer, size int32) int32

// BlobWrite is blob_write.
func BlobWrite(blob int32, octets []byte) int32 {
	return blobWrite(blob, ptr(octets), size(octets))
}

// PartReplace is part_replace.
//
//go:wasmimport mta1 part_replace
//go:noescape
func PartReplace(id int32, mediaType string, blob int32) int32

// PartInsert is part_insert.
//
//go:wasmimport mta1 part_insert
//go:noescape
func PartInsert(parent, index int32, mediaType, filename string, blob int32) int32

// PartRemove is part_remove.
//
//go:wasmimport mta1 part_remove
func PartRemove(id int32) int32

// PartWrap is part_wrap.
//
//go:wasmimport mta1 part_wrap
//go:noescape
func PartWrap(id int32, mediaType string) int32

// MsgSize is msg_size.
//
//go:wasmimport mta1 msg_size
func MsgSize() int64

//go:wasmimport mta1 msg_read
//go:noescape
func msgRead(offset int64, buf unsafe.Pointer, size int32) int32

// MsgRead is msg_read.
func MsgRead(offset int64, buf []byte) int32 { return msgRead(offset, ptr(buf), size(buf)) }

// MsgReplace is msg_replace.
//
//go:wasmimport mta1 msg_replace
func MsgReplace(blob int32) int32
