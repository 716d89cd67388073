//go:build !wasip1

package guest

func HdrCount(part int32) int32 { return Current.HdrCount(part) }

func HdrFind(part int32, name string, from int32) int32 { return Current.HdrFind(part, name, from) }

func HdrName(part, index int32, buf []byte) int32 {
	s, e := Current.HdrName(part, index)
	return out(s, e, buf)
}

func HdrValue(part, index, mode int32, buf []byte) int32 {
	b, e := Current.HdrValue(part, index, mode)
	return out(b, e, buf)
}

func HdrBlock(part int32, buf []byte) int32 {
	b, e := Current.HdrBlock(part)
	return out(b, e, buf)
}

func HdrInsert(part, index int32, name, value string) int32 {
	return int32(Current.HdrInsert(part, index, name, value))
}

func HdrInsertRaw(part, index int32, field string) int32 {
	return int32(Current.HdrInsertRaw(part, index, field))
}

func HdrSet(part, index int32, value string) int32 {
	return int32(Current.HdrSet(part, index, value))
}

func HdrRemove(part, index int32) int32 { return int32(Current.HdrRemove(part, index)) }

func HdrRemoveAll(part int32, name string) int32 { return Current.HdrRemoveAll(part, name) }

func PartFirst(id int32) int32 { return Current.PartFirst(id) }

func PartNext(id int32) int32 { return Current.PartNext(id) }

func PartParent(id int32) int32 { return Current.PartParent(id) }

func PartFind(mediaType string, from int32) int32 { return Current.PartFind(mediaType, from) }

func PartInfo(id, what int32, buf []byte) int32 {
	s, e := Current.PartInfo(id, what)
	return out(s, e, buf)
}

func PartFlags(id int32) int32 { return Current.PartFlags(id) }

func PartSize(id, mode int32) int64 { return Current.PartSize(id, mode) }

func PartRead(id, mode int32, offset int64, buf []byte) int32 {
	return Current.PartRead(id, mode, offset, buf)
}

func BlobNew() int32 { return Current.BlobNew() }

func BlobWrite(blob int32, octets []byte) int32 { return int32(Current.BlobWrite(blob, octets)) }

func PartReplace(id int32, mediaType string, blob int32) int32 {
	return int32(Current.PartReplace(id, mediaType, blob))
}

func PartInsert(parent, index int32, mediaType, filename string, blob int32) int32 {
	return Current.PartInsert(parent, index, mediaType, filename, blob)
}

func PartRemove(id int32) int32 { return int32(Current.PartRemove(id)) }

func PartWrap(id int32, mediaType string) int32 { return Current.PartWrap(id, mediaType) }

func MsgSize() int64 { return Current.MsgSize() }

func MsgRead(offset int64, buf []byte) int32 { return Current.MsgRead(offset, buf) }

func MsgReplace(blob int32) int32 { return int32(Current.MsgReplace(blob)) }
