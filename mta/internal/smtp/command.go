package smtp

import (
	"math"
	"strconv"
	"strings"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Limits of parameter values.
const (
	maxEnvID = 100 // octets of ENVID as sent (RFC 3461 §4.4)
	maxORCPT = 500 // octets of ORCPT as sent (RFC 3461 §4.2)
)

var (
	errMailSyntax = &Reply{Code: 501, Enh: Enh{5, 5, 4}, Text: "Syntax: MAIL FROM:<path> [parameters]"}
	errRcptSyntax = &Reply{Code: 501, Enh: Enh{5, 5, 4}, Text: "Syntax: RCPT TO:<path> [parameters]"}
	errBdatSyntax = &Reply{Code: 501, Enh: Enh{5, 5, 4}, Text: "Syntax: BDAT size [LAST]"}
	errHelo       = &Reply{Code: 501, Enh: Enh{5, 5, 4}, Text: "A domain name or an address literal must follow"}
)

// SplitCommand cuts a command line without its CRLF into the verb, as it was
// sent, and the argument without the blanks around it.
func SplitCommand(line string) (verb, arg string) {
	verb, arg, _ = strings.Cut(line, " ")
	return verb, strings.Trim(arg, " ")
}

// ParseHelo reads the argument of HELO, EHLO and LHLO: a domain, with the
// underscore that names in use have, or an address literal (RFC 5321 §4.1.1.1).
// What it returns is safe in a header field and in a reply. The error is a
// *[Reply].
func ParseHelo(arg string) (string, error) {
	name := strings.TrimSuffix(arg, ".")
	if name == "" || len(name) > mail.MaxDomain {
		return "", errHelo
	}
	if name[0] == '[' {
		if len(name) < 3 || name[len(name)-1] != ']' || strings.Trim(name[1:len(name)-1], literalChars) != "" {
			return "", errHelo
		}
		return name, nil
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || strings.Trim(label, labelChars) != "" {
			return "", errHelo
		}
	}
	return name, nil
}

const (
	labelChars   = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	literalChars = labelChars + ".:"
)

// ParseMail reads the argument of MAIL (RFC 5321 §4.1.1.2) with the parameters
// of RFC 1870 (SIZE), 6152 (BODY), 3461 (RET, ENVID), 4954 (AUTH) and 6531
// (SMTPUTF8). A SIZE that no int64 holds is the greatest one. The error is a
// *[Reply].
func ParseMail(arg string) (mail.Path, gosmtp.MailOptions, error) {
	var opts gosmtp.MailOptions
	mailbox, params, ok := cutPath(arg, "FROM:")
	if !ok {
		return mail.Path{}, opts, errMailSyntax
	}
	path, err := mail.ParsePath(mailbox)
	if err != nil || path.Domain == "" && !path.IsNull() {
		return mail.Path{}, opts, &Reply{Code: 501, Enh: Enh{5, 1, 7}, Text: "Bad reverse-path"}
	}
	err = eachParam(params, mailParams, &opts)
	return path, opts, err
}

// ParseRcpt reads the argument of RCPT (RFC 5321 §4.1.1.3) with the parameters
// of RFC 3461 (NOTIFY, ORCPT). `<postmaster>` needs no domain. The error is a
// *[Reply].
func ParseRcpt(arg string) (mail.Path, gosmtp.RcptOptions, error) {
	var opts gosmtp.RcptOptions
	mailbox, params, ok := cutPath(arg, "TO:")
	if !ok {
		return mail.Path{}, opts, errRcptSyntax
	}
	path, err := mail.ParsePath(mailbox)
	if err != nil || path.Domain == "" && !strings.EqualFold(path.Local, "postmaster") {
		return mail.Path{}, opts, &Reply{Code: 501, Enh: Enh{5, 1, 3}, Text: "Bad forward-path"}
	}
	err = eachParam(params, rcptParams, &opts)
	return path, opts, err
}

// ParseBdat reads the argument of BDAT (RFC 3030 §2). The error is a *[Reply];
// after it nobody knows how many octets follow.
func ParseBdat(arg string) (size int64, last bool, err error) {
	digits, rest, _ := strings.Cut(arg, " ")
	size, ok := parseSize(digits)
	rest = strings.Trim(rest, " ")
	last = strings.EqualFold(rest, "LAST")
	if !ok || rest != "" && !last {
		return 0, false, errBdatSyntax
	}
	return size, last, nil
}

// cutPath cuts `FROM:<mailbox> parameters`. Blanks after the colon are not
// allowed but common (`MAIL FROM: <alice@crepes.fr>`).
func cutPath(arg, prefix string) (mailbox, params string, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", false
	}
	arg = strings.TrimLeft(arg[len(prefix):], " ")
	if arg == "" || arg[0] != '<' {
		return "", "", false
	}
	end := pathEnd(arg)
	if end < 0 {
		return "", "", false
	}
	mailbox, params = arg[1:end], arg[end+1:]
	if params != "" && params[0] != ' ' {
		return "", "", false
	}
	return mailbox, params, true
}

// pathEnd is where the angle bracket that closes the path stands: not one
// within a quoted local part.
func pathEnd(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

// eachParam reads parameters into opts by their table.
func eachParam[T any](params string, table map[string]func(*T, string) bool, opts *T) error {
	var seen []string
	for param := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(param, "=")
		name = strings.ToUpper(name)
		set, ok := table[name]
		if !ok {
			return &Reply{Code: 555, Enh: Enh{5, 5, 4}, Text: "Unknown parameter " + clip(name)}
		}
		for _, other := range seen {
			if other == name {
				return &Reply{Code: 501, Enh: Enh{5, 5, 4}, Text: "Parameter given twice: " + name}
			}
		}
		seen = append(seen, name)
		if !set(opts, value) {
			return &Reply{Code: 501, Enh: Enh{5, 5, 4}, Text: "Bad value of parameter " + name}
		}
	}
	return nil
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}

var mailParams = map[string]func(*gosmtp.MailOptions, string) bool{
	"SIZE": func(o *gosmtp.MailOptions, v string) (ok bool) {
		o.Size, ok = parseSize(v)
		return ok
	},
	"BODY": func(o *gosmtp.MailOptions, v string) bool {
		o.Body = gosmtp.BodyType(strings.ToUpper(v))
		return o.Body == gosmtp.Body7Bit || o.Body == gosmtp.Body8BitMIME || o.Body == gosmtp.BodyBinaryMIME
	},
	"SMTPUTF8": func(o *gosmtp.MailOptions, v string) bool {
		o.UTF8 = true
		return v == ""
	},
	"REQUIRETLS": func(o *gosmtp.MailOptions, v string) bool {
		o.RequireTLS = true
		return v == ""
	},
	"RET": func(o *gosmtp.MailOptions, v string) bool {
		o.Return = gosmtp.DSNReturn(strings.ToUpper(v))
		return o.Return == gosmtp.DSNReturnFull || o.Return == gosmtp.DSNReturnHeaders
	},
	"ENVID": func(o *gosmtp.MailOptions, v string) (ok bool) {
		o.EnvelopeID, ok = decodeXtext(v)
		return ok && v != "" && len(v) <= maxEnvID && isPrintable(o.EnvelopeID)
	},
	"AUTH": func(o *gosmtp.MailOptions, v string) bool {
		who, ok := decodeXtext(v)
		if who == "<>" {
			who = ""
		}
		o.Auth = &who
		return ok && v != "" && isPrintable(who)
	},
}

var rcptParams = map[string]func(*gosmtp.RcptOptions, string) bool{
	"NOTIFY": func(o *gosmtp.RcptOptions, v string) bool {
		for word := range strings.SplitSeq(strings.ToUpper(v), ",") {
			switch n := gosmtp.DSNNotify(word); n {
			case gosmtp.DSNNotifyNever, gosmtp.DSNNotifySuccess, gosmtp.DSNNotifyFailure, gosmtp.DSNNotifyDelayed:
				o.Notify = append(o.Notify, n)
			default:
				return false
			}
			if len(o.Notify) > 1 && (word == "NEVER" || o.Notify[0] == gosmtp.DSNNotifyNever) {
				return false // NEVER stands alone (RFC 3461 §4.1)
			}
			if len(o.Notify) > 4 {
				return false
			}
		}
		return true
	},
	"ORCPT": func(o *gosmtp.RcptOptions, v string) (ok bool) {
		kind, addr, found := strings.Cut(v, ";")
		if !found || len(v) > maxORCPT || kind == "" || strings.Trim(kind, labelChars) != "" {
			return false
		}
		o.OriginalRecipientType = gosmtp.DSNAddressType(strings.ToUpper(kind))
		if o.OriginalRecipientType == gosmtp.DSNAddressTypeUTF8 {
			o.OriginalRecipient, ok = decodeUnitext(addr)
		} else {
			o.OriginalRecipient, ok = decodeXtext(addr)
			ok = ok && isPrintable(o.OriginalRecipient)
		}
		return ok && o.OriginalRecipient != ""
	},
}

// parseSize reads up to 20 digits (RFC 1870 §3, RFC 3030 §2).
func parseSize(s string) (int64, bool) {
	if s == "" || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}
