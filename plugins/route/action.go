package main

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// A refusal is what the client hears. In the file: the text, or a mapping.
type refusal struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
}

// UnmarshalConfig implements [mta.Unmarshaler].
func (r *refusal) UnmarshalConfig(v mta.Value) error {
	var ok bool
	if r.Text, ok = v.Text(); ok {
		return nil
	}
	type plain refusal
	return v.Into((*plain)(r))
}

// check fills in what is left out, for a class of replies: "5" or "4".
func (r *refusal) check(class string) error {
	if r.Code == 0 {
		r.Code = map[string]int{"5": 550, "4": 451}[class]
	}
	if r.Enhanced == "" {
		r.Enhanced = class + ".7.1"
	}
	switch {
	case strings.TrimSpace(r.Text) == "":
		return errors.New("has no text; say why, the sender reads it")
	case strconv.Itoa(r.Code)[:1] != class || r.Code < 400 || r.Code > 599 || r.Code == 421 || r.Code == 521:
		return errors.New("code " + strconv.Itoa(r.Code) + " does not fit; write one from " + class + "50 to " + class + "59")
	case !isEnhanced(r.Enhanced, class):
		return errors.New(strconv.Quote(r.Enhanced) + " is no enhanced status code for it; write one as in " + class + ".7.1")
	case len(r.Text) > maxReplyText || strings.ContainsFunc(r.Text, isControl):
		return errors.New("the text is not one line of at most " + strconv.Itoa(maxReplyText) + " octets")
	}
	return nil
}

// maxReplyText leaves room for the codes in a reply line of 512 octets
// (RFC 5321 §4.5.3.1.5).
const maxReplyText = 490

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// isEnhanced tells whether s is `class.subject.detail` (RFC 3463 §2).
func isEnhanced(s, class string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || parts[0] != class {
		return false
	}
	for _, p := range parts[1:] {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || len(p) > 3 {
			return false
		}
	}
	return true
}

// A folder is where mail is delivered. In the file: the folder's name, or a
// mapping.
type folder struct {
	Folder  string   `json:"folder"`
	Account string   `json:"account"`
	Flags   []string `json:"flags"`

	folder, account template
}

// UnmarshalConfig implements [mta.Unmarshaler].
func (f *folder) UnmarshalConfig(v mta.Value) (err error) {
	var ok bool
	if f.Folder, ok = v.Text(); !ok {
		type plain folder
		if err := v.Into((*plain)(f)); err != nil {
			return err
		}
	}
	if f.Folder == "" && f.Account == "" && len(f.Flags) == 0 {
		return errors.New("names no folder; write INBOX, or one as in Lists/go")
	}
	for level := range strings.SplitSeq(f.Folder, "/") {
		if f.Folder != "" && (level == "" || level == "." || level == ".." || strings.ContainsFunc(level, isControl)) {
			return errors.New(strconv.Quote(f.Folder) + " is no folder; write one as in Lists/go, without a slash at the ends")
		}
	}
	for _, flag := range f.Flags {
		if flag == "" || strings.ContainsAny(flag, "(){}%*\"] \t") {
			return errors.New(strconv.Quote(flag) + ` is no IMAP flag; write one as in \Seen or \Flagged`)
		}
	}
	if f.folder, err = parseTemplate(f.Folder); err == nil {
		f.account, err = parseTemplate(f.Account)
	}
	return err
}

// A hop is where mail is relayed. In the file: host or host:port, or a mapping.
type hop struct {
	Host string `json:"host"`
	Port int    `json:"port"`
	TLS  string `json:"tls"`
	MX   bool   `json:"mx"`
}

// UnmarshalConfig implements [mta.Unmarshaler].
func (h *hop) UnmarshalConfig(v mta.Value) error {
	if s, ok := v.Text(); ok {
		if err := h.parse(s); err != nil {
			return err
		}
	} else {
		type plain hop
		if err := v.Into((*plain)(h)); err != nil {
			return err
		}
	}
	switch {
	case !isHost(h.Host):
		return errors.New(strconv.Quote(h.Host) + " is no host; write one as in mx.example.net or mx.example.net:2525")
	case h.Port < 0 || h.Port > 65535:
		return errors.New("port " + strconv.Itoa(h.Port) + " does not exist; write 25, or leave it out")
	case h.TLS != "" && h.TLS != "required":
		return errors.New("tls " + strconv.Quote(h.TLS) + ` is not known; write "required", or leave it out`)
	case h.MX && h.Port != 0:
		return errors.New("mx and port exclude each other; MX records name hosts that listen on port 25")
	}
	return nil
}

// parse reads host, host:port and [IPv6]:port.
func (h *hop) parse(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		h.Host = s
		return nil
	}
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return errors.New(strconv.Quote(s) + " has no port after the colon; write one as in mx.example.net:2525")
		}
		h.Port = int(n)
	}
	h.Host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return nil
}

func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > 255 || strings.ContainsFunc(s, isControl) {
		return false
	}
	return !strings.ContainsAny(s, " \"'()<>[],;:@\\/%")
}

func (h *hop) next() mta.NextHop {
	return mta.NextHop{Host: h.Host, Port: h.Port, RequireTLS: h.TLS == "required", NoMX: !h.MX}
}
