package kit

import (
	"bytes"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// A Config is the configuration of the conformance filter. What is nil leaves
// out its step.
type Config struct {
	Stamp      *Stamp  `json:"stamp,omitempty"`
	Tag        *string `json:"tag,omitempty"`
	Attachment *string `json:"attachment,omitempty"`
	Refuse     *string `json:"refuse,omitempty"`
}

// A Stamp is a field to insert.
type Stamp struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Configs are the configurations that a module is run with: each step alone,
// all of them, none, and texts that a sloppy reader of JSON gets wrong.
func Configs() []Config {
	stamp := &Stamp{Name: "X-Conformance", Value: "from plugin"}
	tag, text, refuse := "[list]", "This attachment was removed.\n", "BOB@example.org"
	odd, oddText := `<"Crêpes" \ & 🥞>`, "tab\t, quote \" and \\, crêpes, \u2028, 🥞\r\nsecond line\n\nlast"
	return []Config{
		{},
		{Stamp: stamp},
		{Tag: &tag},
		{Attachment: &text},
		{Refuse: &refuse},
		{Stamp: stamp, Tag: &tag, Attachment: &text, Refuse: &refuse},
		{Stamp: &Stamp{Name: "X-Odd", Value: odd + strings.Repeat(" long", 40)}, Tag: &odd, Attachment: &oddText, Refuse: &odd},
	}
}

// Expect is what the filter has to do in a case.
func Expect(c Case) Outcome {
	in := host.Input{
		Hook: abi.HookMessage, Sender: c.Sender, Grants: abi.DefaultGrants,
		Open: func() (host.Message, error) {
			return host.Tree(mimetree.Parse(bytes.NewReader(c.Message), mimetree.Limits{})), nil
		},
	}
	for _, rcpt := range c.Recipients {
		in.Recipients = append(in.Recipients, host.Recipient{Address: rcpt, Original: rcpt})
	}
	call := host.New(in)
	if !Filter(call, c.Config) {
		call.Rollback()
		return Outcome{Failed: true, Message: c.Message}
	}
	changes := call.Commit()
	out := Outcome{Message: c.Message, Refused: map[string]string{}}
	if changes.Message != nil {
		out.Message = octets(changes.Message)
	}
	for i := range changes.Recipients {
		if r := &changes.Recipients[i]; r.Reply != nil {
			out.Refused[r.Address] = ReplyText(r.Reply)
		}
	}
	return out
}

func octets(m host.Message) []byte {
	b := make([]byte, m.Size())
	n, _ := m.ReadAt(b, 0) // the source is memory, and the length is known
	return b[:n]
}

// Filter is the conformance filter, in the words of the ABI. It is false if
// the hook gives up.
func Filter(call *host.Call, c Config) bool {
	return (c.Stamp == nil || call.HdrInsert(abi.Root, abi.IndexTop, c.Stamp.Name, c.Stamp.Value) >= 0) &&
		(c.Tag == nil || tag(call, *c.Tag)) &&
		(c.Attachment == nil || replace(call, *c.Attachment)) &&
		(c.Refuse == nil || refuse(call, *c.Refuse))
}

func tag(call *host.Call, tag string) bool {
	i := call.HdrFind(abi.Root, "Subject", 0)
	switch {
	case i == int32(abi.NotFound):
		return call.HdrInsert(abi.Root, abi.IndexBottom, "Subject", tag) >= 0
	case i < 0:
		return false
	}
	subject, e := call.HdrValue(abi.Root, i, abi.HdrDecoded)
	if e < 0 {
		return false
	}
	return bytes.HasPrefix(subject, []byte(tag)) || call.HdrSet(abi.Root, i, tag+" "+string(subject)) >= 0
}

func replace(call *host.Call, text string) bool {
	var parts []int32
	if !collect(call, abi.Root, &parts) {
		return false
	}
	for _, id := range parts {
		blob := call.BlobNew()
		if blob < 0 || call.BlobWrite(blob, []byte(text)) < 0 ||
			call.PartReplace(id, "text/plain; charset=utf-8", blob) < 0 {
			return false
		}
	}
	return true
}

// collect adds the parts to replace from id on down, in preorder.
func collect(call *host.Call, id int32, parts *[]int32) bool {
	flags := call.PartFlags(id)
	mediaType, e := call.PartInfo(id, abi.PartType)
	if flags < 0 || e < 0 {
		return false
	}
	if flags&abi.FlagAttachment != 0 && strings.HasPrefix(mediaType, "text/") {
		*parts = append(*parts, id)
	}
	child := call.PartFirst(id)
	for ; child >= 0; child = call.PartNext(child) {
		if !collect(call, child, parts) {
			return false
		}
	}
	return child == int32(abi.NotFound)
}

func refuse(call *host.Call, address string) bool {
	for i := range call.RcptCount() {
		id := call.RcptAt(i)
		rcpt, e := call.RcptGet(id, abi.RcptAddress)
		if id < 0 || e < 0 {
			return false
		}
		if lower(rcpt) == lower(address) && call.RcptReply(id, 550, "5.7.1", "Refused by conformance") < 0 {
			return false
		}
	}
	return true
}

// lower makes the capital letters of ASCII small ones.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
