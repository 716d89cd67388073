package host

import (
	"bytes"
	"io"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
)

// fake is a message of fields and a body that can be edited and rolled back.
type fake struct {
	states []fakeState
}

type fakeState struct {
	fields []string // "Name: value"
	body   string
}

func newFake(fields ...string) *fake { return &fake{[]fakeState{{fields: fields, body: "body"}}} }

func (f *fake) now() *fakeState { return &f.states[len(f.states)-1] }

func (f *fake) edit(change func(s *fakeState) abi.Errno) abi.Errno {
	next := fakeState{append([]string(nil), f.now().fields...), f.now().body}
	e := change(&next)
	if e == abi.OK {
		f.states = append(f.states, next)
	}
	return e
}

func (f *fake) String() string {
	return strings.Join(append(append([]string(nil), f.now().fields...), "", f.now().body), "\r\n")
}

func (f *fake) Fork() (Message, abi.Errno) {
	return &fake{[]fakeState{{append([]string(nil), f.now().fields...), f.now().body}}}, abi.OK
}

func (f *fake) Mark() int         { return len(f.states) }
func (f *fake) Rollback(mark int) { f.states = f.states[:mark] }
func (f *fake) Size() int64       { return int64(len(f.String())) }

func (f *fake) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader([]byte(f.String())).ReadAt(p, off)
}

func (f *fake) HdrCount(int32) (int32, abi.Errno) { return int32(len(f.now().fields)), abi.OK }

func (f *fake) HdrFind(_ int32, name string, from int32) (int32, abi.Errno) {
	for i := int(from); i < len(f.now().fields); i++ {
		if n, _, _ := strings.Cut(f.now().fields[i], ":"); strings.EqualFold(n, name) {
			return int32(i), abi.OK
		}
	}
	return 0, abi.NotFound
}

func (f *fake) HdrName(_, i int32) (string, abi.Errno) {
	n, _, _ := strings.Cut(f.now().fields[i], ":")
	return n, abi.OK
}

func (f *fake) HdrValue(_, i, _ int32) ([]byte, abi.Errno) {
	_, v, _ := strings.Cut(f.now().fields[i], ":")
	return []byte(v), abi.OK
}

func (f *fake) HdrBlock(int32) ([]byte, abi.Errno) {
	return []byte(strings.Join(f.now().fields, "\r\n") + "\r\n"), abi.OK
}

func (f *fake) HdrInsert(part, i int32, name, value string) abi.Errno {
	return f.HdrInsertRaw(part, i, name+": "+value+"\r\n")
}

func (f *fake) HdrInsertRaw(_, i int32, field string) abi.Errno {
	return f.edit(func(s *fakeState) abi.Errno {
		if i < 0 {
			i = int32(len(s.fields))
		}
		if int(i) > len(s.fields) {
			return abi.NotFound
		}
		s.fields = append(s.fields[:i:i], append([]string{strings.TrimSuffix(field, "\r\n")}, s.fields[i:]...)...)
		return abi.OK
	})
}

func (f *fake) HdrSet(_, i int32, value string) abi.Errno {
	return f.edit(func(s *fakeState) abi.Errno {
		n, _, _ := strings.Cut(s.fields[i], ":")
		s.fields[i] = n + ": " + value
		return abi.OK
	})
}

func (f *fake) HdrRemove(_, i int32) abi.Errno {
	return f.edit(func(s *fakeState) abi.Errno {
		s.fields = append(s.fields[:i:i], s.fields[i+1:]...)
		return abi.OK
	})
}

func (f *fake) PartFirst(int32) (int32, abi.Errno)            { return 0, abi.NotFound }
func (f *fake) PartNext(int32) (int32, abi.Errno)             { return 0, abi.NotFound }
func (f *fake) PartParent(int32) (int32, abi.Errno)           { return 0, abi.NotFound }
func (f *fake) PartFind(string, int32) (int32, abi.Errno)     { return 0, abi.OK }
func (f *fake) PartInfo(_, what int32) (string, abi.Errno)    { return "text/plain", abi.OK }
func (f *fake) PartFlags(int32) (int32, abi.Errno)            { return 0, abi.OK }
func (f *fake) PartSize(_, _ int32) (int64, abi.Errno)        { return int64(len(f.now().body)), abi.OK }
func (f *fake) PartRemove(int32) abi.Errno                    { return abi.BadArg }
func (f *fake) PartWrap(_ int32, _ string) (int32, abi.Errno) { return 1, abi.OK }

func (f *fake) PartRead(_, _ int32, off int64, p []byte) (int, abi.Errno) {
	n, err := strings.NewReader(f.now().body).ReadAt(p, off)
	if err != nil && err != io.EOF {
		return 0, abi.IO
	}
	return n, abi.OK
}

func (f *fake) PartReplace(_ int32, _ string, body []byte) abi.Errno {
	return f.edit(func(s *fakeState) abi.Errno { s.body = string(body); return abi.OK })
}

func (f *fake) PartInsert(_, _ int32, _, _ string, _ []byte) (int32, abi.Errno) { return 1, abi.OK }

func (f *fake) MsgReplace([]byte) abi.Errno {
	return f.edit(func(s *fakeState) abi.Errno { s.fields = []string{"Replaced: yes"}; return abi.OK })
}
