package imapd

import (
	"bytes"
	"strings"

	"github.com/emersion/go-imap/v2"
	gomessage "github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // names of senders come in any
	"github.com/emersion/go-message/textproto"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

// describing are the fields that BODYSTRUCTURE is made of.
var describing = []string{
	"Content-Type", "Content-Transfer-Encoding", "Content-Id", "Content-Description",
	"Content-Disposition", "Content-Language", "Content-Location",
}

// fieldsOf are these fields of a part for go-message: the first of each name,
// read by mimetree, which no malformed line stops.
func (c *content) fieldsOf(id mimetree.ID) (textproto.Header, error) {
	var h textproto.Header
	for _, name := range describing {
		i, err := c.tree.FindField(id, name, 0)
		if orEmpty(err) != nil {
			return h, err
		}
		if err != nil {
			continue
		}
		v, err := c.tree.FieldValue(id, i, mimetree.Unfolded)
		if err != nil {
			return h, err
		}
		h.Set(name, strings.TrimSpace(string(v)))
	}
	return h, nil
}

// structure is BODYSTRUCTURE of a part (RFC 3501 §7.4.2).
func (c *content) structure(id mimetree.ID) (imap.BodyStructure, error) {
	info, err := c.tree.Info(id)
	if err != nil {
		return nil, err
	}
	fields, err := c.fieldsOf(id)
	if err != nil {
		return nil, err
	}
	h := gomessage.Header{Header: fields}
	mainType, subtype, _ := strings.Cut(info.Type, "/")
	multipart, err := c.isMultipart(id)
	if err != nil {
		return nil, err
	}
	if multipart {
		return c.multipart(id, subtype, h)
	}
	return c.single(id, mainType, subtype, h)
}

func params(h gomessage.Header) map[string]string {
	_, params, err := h.ContentType()
	if err != nil {
		return nil
	}
	return params
}

func disposition(h gomessage.Header) *imap.BodyStructureDisposition {
	value, params, err := h.ContentDisposition()
	if err != nil || value == "" {
		return nil
	}
	return &imap.BodyStructureDisposition{Value: value, Params: params}
}

func languages(h gomessage.Header) []string {
	var all []string
	for tag := range strings.SplitSeq(h.Get("Content-Language"), ",") {
		if tag = strings.TrimSpace(tag); tag != "" {
			all = append(all, tag)
		}
	}
	return all
}

func (c *content) multipart(id mimetree.ID, subtype string, h gomessage.Header) (imap.BodyStructure, error) {
	bs := &imap.BodyStructureMultiPart{Subtype: subtype, Extended: &imap.BodyStructureMultiPartExt{
		Params: params(h), Disposition: disposition(h), Language: languages(h), Location: h.Get("Content-Location"),
	}}
	child, err := c.tree.First(id)
	for ; err == nil; child, err = c.tree.Next(child) {
		part, err := c.structure(child)
		if err != nil {
			return nil, err
		}
		bs.Children = append(bs.Children, part)
	}
	if orEmpty(err) != nil {
		return nil, err
	}
	if len(bs.Children) == 0 { // the grammar asks for one
		bs.Children = append(bs.Children, emptyText())
	}
	return bs, nil
}

func emptyText() imap.BodyStructure {
	return &imap.BodyStructureSinglePart{
		Type: "text", Subtype: "plain", Encoding: "7BIT",
		Text: &imap.BodyStructureText{}, Extended: &imap.BodyStructureSinglePartExt{},
	}
}

func (c *content) single(id mimetree.ID, mainType, subtype string, h gomessage.Header) (imap.BodyStructure, error) {
	body, err := c.body(id)
	if err != nil {
		return nil, err
	}
	bs := &imap.BodyStructureSinglePart{
		Type: mainType, Subtype: subtype, Params: params(h), ID: h.Get("Content-Id"),
		Description: h.Get("Content-Description"), Encoding: h.Get("Content-Transfer-Encoding"),
		Size: uint32(min(body.size, 1<<32-1)),
		Extended: &imap.BodyStructureSinglePartExt{
			Disposition: disposition(h), Language: languages(h), Location: h.Get("Content-Location"),
		},
	}
	inner, err := c.inner(id)
	switch {
	case err == nil:
		return bs, c.addMessage(bs, inner, body)
	case orEmpty(err) != nil:
		return nil, err
	case mainType == "text":
		n, err := lines(body)
		bs.Text = &imap.BodyStructureText{NumLines: n}
		return bs, err
	case mainType == "message" && (subtype == "rfc822" || subtype == "global"):
		// Its message cannot be looked into, so it is not shown as one: the
		// grammar would ask for an envelope.
		bs.Type, bs.Subtype = "application", "octet-stream"
	}
	return bs, nil
}

// addMessage describes the message inside a message/rfc822 part.
func (c *content) addMessage(bs *imap.BodyStructureSinglePart, inner mimetree.ID, body section) (err error) {
	m := &imap.BodyStructureMessageRFC822{}
	if m.Envelope, err = c.envelope(inner); err != nil {
		return err
	}
	if m.BodyStructure, err = c.structure(inner); err != nil {
		return err
	}
	m.NumLines, err = lines(body)
	bs.MessageRFC822 = m
	return err
}

// lines counts the lines of a section.
func lines(s section) (int64, error) {
	var count lineCounter
	err := s.writeTo(&count)
	return int64(count), err
}

type lineCounter int64

// Write implements [io.Writer].
func (c *lineCounter) Write(b []byte) (int, error) {
	*c += lineCounter(bytes.Count(b, []byte("\n")))
	return len(b), nil
}
