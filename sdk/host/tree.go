package host

import (
	"errors"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// Tree is a message tree as a call works on it.
func Tree(t *mimetree.Tree) Message { return tree{t} }

// TreeOf is the message tree that [Tree] made m of; nil if it did not.
func TreeOf(m Message) *mimetree.Tree {
	t, _ := m.(tree)
	return t.Tree
}

// tree gives the methods of a message tree the names and results of the ABI.
type tree struct{ *mimetree.Tree }

// errnos are what the errors of a message tree are for a plugin.
var errnos = []struct {
	err   error
	errno abi.Errno
}{
	{mimetree.ErrNotFound, abi.NotFound},
	{mimetree.ErrArgument, abi.BadArg},
	{mimetree.ErrShape, abi.BadArg},
	{mimetree.ErrLimit, abi.Limit},
	{mimetree.ErrCharset, abi.Unsupported},
	{mimetree.ErrEncoding, abi.Unsupported},
	{mimetree.ErrLossy, abi.Unsupported},
}

// errno is an error of a message tree; what is none of its own is one of the
// source.
func errno(err error) abi.Errno {
	if err == nil {
		return abi.OK
	}
	for _, e := range errnos {
		if errors.Is(err, e.err) {
			return e.errno
		}
	}
	return abi.IO
}

func (t tree) Fork() (Message, abi.Errno) { return tree{t.Tree.Fork()}, abi.OK }

func part(id int32) mimetree.ID { return mimetree.ID(id) }

func (t tree) HdrCount(id int32) (int32, abi.Errno) {
	n, err := t.FieldCount(part(id))
	return int32(n), errno(err)
}

func (t tree) HdrFind(id int32, name string, from int32) (int32, abi.Errno) {
	i, err := t.FindField(part(id), name, int(from))
	return int32(i), errno(err)
}

func (t tree) HdrName(id, index int32) (string, abi.Errno) {
	s, err := t.FieldName(part(id), int(index))
	return s, errno(err)
}

// hdrModes are the tree's for those of the ABI.
var hdrModes = map[int32]mimetree.Mode{
	abi.HdrRaw: mimetree.Raw, abi.HdrUnfolded: mimetree.Unfolded, abi.HdrDecoded: mimetree.Decoded,
}

func (t tree) HdrValue(id, index, mode int32) ([]byte, abi.Errno) {
	m, ok := hdrModes[mode]
	if !ok {
		return nil, abi.BadArg
	}
	b, err := t.FieldValue(part(id), int(index), m)
	return b, errno(err)
}

func (t tree) HdrBlock(id int32) ([]byte, abi.Errno) {
	b, err := t.Header(part(id))
	return b, errno(err)
}

func (t tree) HdrInsert(id, index int32, name, value string) abi.Errno {
	return errno(t.InsertField(part(id), int(index), name, value))
}

func (t tree) HdrInsertRaw(id, index int32, field string) abi.Errno {
	return errno(t.InsertRawField(part(id), int(index), field))
}

func (t tree) HdrSet(id, index int32, value string) abi.Errno {
	return errno(t.SetField(part(id), int(index), value))
}

func (t tree) HdrRemove(id, index int32) abi.Errno {
	return errno(t.RemoveField(part(id), int(index)))
}

func (t tree) PartFirst(id int32) (int32, abi.Errno) { return partOf(t.First(part(id))) }

func (t tree) PartNext(id int32) (int32, abi.Errno) { return partOf(t.Next(part(id))) }

func (t tree) PartParent(id int32) (int32, abi.Errno) { return partOf(t.Parent(part(id))) }

func (t tree) PartFind(mediaType string, from int32) (int32, abi.Errno) {
	return partOf(t.Find(mediaType, part(from)))
}

func partOf(id mimetree.ID, err error) (int32, abi.Errno) { return int32(id), errno(err) }

func (t tree) PartInfo(id, what int32) (string, abi.Errno) {
	info, err := t.Info(part(id))
	if err != nil {
		return "", errno(err)
	}
	switch what {
	case abi.PartType:
		return info.Type, abi.OK
	case abi.PartCharset:
		return info.Charset, abi.OK
	case abi.PartFilename:
		return info.Filename, abi.OK
	case abi.PartEncoding:
		return info.Encoding, abi.OK
	case abi.PartDisposition:
		return info.Disposition, abi.OK
	case abi.PartContentID:
		return info.ContentID, abi.OK
	case abi.PartPath:
		return info.Path, abi.OK
	}
	return "", abi.BadArg
}

// flags are the ABI's for those of the tree.
var flags = []struct {
	tree mimetree.Flags
	abi  int32
}{
	{mimetree.Multipart, abi.FlagMultipart},
	{mimetree.Attachment, abi.FlagAttachment},
	{mimetree.InsideSigned, abi.FlagInsideSigned},
	{mimetree.Malformed, abi.FlagMalformed},
	{mimetree.Modified, abi.FlagModified},
}

func (t tree) PartFlags(id int32) (int32, abi.Errno) {
	have, err := t.Flags(part(id))
	out := int32(0)
	for _, f := range flags {
		if have&f.tree != 0 {
			out |= f.abi
		}
	}
	return out, errno(err)
}

// forms are the tree's for the modes of part_read.
var forms = map[int32]mimetree.Form{
	abi.ReadRaw: mimetree.Entity, abi.ReadBody: mimetree.Body, abi.ReadDecoded: mimetree.Content, abi.ReadText: mimetree.Text,
}

func (t tree) PartSize(id, mode int32) (int64, abi.Errno) {
	form, ok := forms[mode]
	if !ok {
		return 0, abi.BadArg
	}
	n, err := t.Tree.PartSize(part(id), form)
	return n, errno(err)
}

func (t tree) PartRead(id, mode int32, offset int64, p []byte) (int, abi.Errno) {
	form, ok := forms[mode]
	if !ok {
		return 0, abi.BadArg
	}
	n, err := t.ReadPart(part(id), form, offset, p)
	return n, errno(err)
}

func (t tree) PartReplace(id int32, mediaType string, body []byte) abi.Errno {
	return errno(t.Replace(part(id), mediaType, body))
}

func (t tree) PartInsert(parent, index int32, mediaType, filename string, body []byte) (int32, abi.Errno) {
	return partOf(t.Insert(part(parent), int(index), mediaType, filename, body))
}

func (t tree) PartRemove(id int32) abi.Errno { return errno(t.Remove(part(id))) }

func (t tree) PartWrap(id int32, mediaType string) (int32, abi.Errno) {
	return partOf(t.Wrap(part(id), mediaType))
}

func (t tree) MsgReplace(octets []byte) abi.Errno { return errno(t.ReplaceMessage(octets)) }
