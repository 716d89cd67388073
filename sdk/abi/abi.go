// Package abi has the names and numbers that a plugin and its host share:
// error codes, verdicts, hooks and the table of imported functions. It has no
// behaviour, and imports the standard library only.
package abi

import "strconv"

// Module is the name that a plugin imports the host's functions from. It
// carries the major version.
const Module = "mta1"

// The version of the ABI. A minor version only adds functions.
const (
	Major   = 1
	Minor   = 0
	Version = Major<<16 | Minor // what abi_version answers
)

// Errno is a function's negative result. Zero is success, and so is any
// positive number, which is then the result.
type Errno int32

const (
	OK          Errno = 0
	NotFound    Errno = -1
	BadArg      Errno = -2
	WrongStage  Errno = -3 // this hook cannot do that
	NotGranted  Errno = -4 // the operator did not grant it to this plugin
	Limit       Errno = -5 // a bound of the host is reached
	Timeout     Errno = -6
	IO          Errno = -7
	Unsupported Errno = -8
	Signed      Errno = -9  // the edit would break a signature that policy protects
	Loop        Errno = -10 // what is automatic is not answered automatically
)

var errnoNames = [...]string{
	"ok", "not found", "bad argument", "wrong stage", "not granted", "limit reached",
	"timed out", "input/output error", "not supported", "inside a signature", "would be a mail loop",
}

// Error implements error.
func (e Errno) Error() string {
	if e <= 0 && int(-e) < len(errnoNames) {
		return errnoNames[-e]
	}
	return "error " + strconv.Itoa(int(e))
}

// Err is nil if e is no error, and e otherwise.
func (e Errno) Err() error {
	if e >= 0 {
		return nil
	}
	return e
}

// Verdict is what a hook returns.
type Verdict int32

const (
	Continue   Verdict = 0 // ask the next stage
	Accept     Verdict = 1 // skip the stages that are left
	Reject     Verdict = 2 // 5xx now
	Defer      Verdict = 3 // 4xx now
	Discard    Verdict = 4 // say 250 and drop it
	Quarantine Verdict = 5 // say 250 and hold it for the operator
	Disconnect Verdict = 6 // 421 and close
	NotAgain   Verdict = 7 // continue, and do not ask this stage again for this message
)

// LastVerdict is the highest number that is a verdict.
const LastVerdict = NotAgain

var verdictNames = [...]string{
	"continue", "accept", "reject", "defer", "discard", "quarantine", "disconnect", "not again",
}

// String is the verdict's word.
func (v Verdict) String() string {
	if v >= 0 && int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "verdict " + strconv.Itoa(int(v))
}

// Level is how much a log line matters.
type Level int32

const (
	LevelDebug Level = 0
	LevelInfo  Level = 1
	LevelWarn  Level = 2
	LevelError Level = 3
)

// The hooks: what a plugin exports to be asked. Each is a function without
// parameters that returns a [Verdict]; on_load returns zero, or anything else
// to refuse to start.
const (
	HookLoad       = "on_load" // once, when the plugin is loaded
	HookConnect    = "on_connect"
	HookHelo       = "on_helo"
	HookAuth       = "on_auth"
	HookMail       = "on_mail"
	HookRcpt       = "on_rcpt"
	HookData       = "on_data"
	HookHeaders    = "on_headers"
	HookMessage    = "on_message" // the whole message is there, the reply to DATA is not
	HookRoute      = "on_route"
	HookLocal      = "on_local"
	HookDelivery   = "on_delivery"
	HookDSN        = "on_dsn"
	HookDisconnect = "on_disconnect"
)

// Hooks are all hooks, in the order of a message's life.
var Hooks = [...]string{
	HookLoad, HookConnect, HookHelo, HookAuth, HookMail, HookRcpt, HookData, HookHeaders,
	HookMessage, HookRoute, HookLocal, HookDelivery, HookDSN, HookDisconnect,
}

// Initialize is what a reactor exports to be called once, before any hook.
const Initialize = "_initialize"

// Modes of hdr_value.
const (
	HdrRaw      int32 = 0 // all octets after the colon
	HdrUnfolded int32 = 1 // without line breaks and the blanks around the value (RFC 5322 §2.2.3)
	HdrDecoded  int32 = 2 // unfolded, encoded words as UTF-8 (RFC 2047)
)

// What hdr_insert's and part_insert's index can say beside a place.
const (
	IndexTop    int32 = 0  // above everything, our Received: too
	IndexBottom int32 = -1 // below everything
)

// Root is the part that is the message itself.
const Root int32 = 0

// What part_info tells of a part.
const (
	PartType        int32 = 0 // "text/plain", lower case
	PartCharset     int32 = 1
	PartFilename    int32 = 2 // as UTF-8
	PartEncoding    int32 = 3 // the content transfer encoding, lower case
	PartDisposition int32 = 4 // "attachment", lower case
	PartContentID   int32 = 5 // without the angle brackets
	PartPath        int32 = 6 // "1.2"; empty for the message
)

// Flags of part_flags.
const (
	FlagMultipart    int32 = 1
	FlagAttachment   int32 = 2
	FlagInsideSigned int32 = 4
	FlagMalformed    int32 = 8
	FlagModified     int32 = 16
)

// Modes of part_read and part_size.
const (
	ReadRaw     int32 = 0 // header section and body, as they came
	ReadBody    int32 = 1 // the body as it came
	ReadDecoded int32 = 2 // the body without its content transfer encoding
	ReadText    int32 = 3 // the decoded body as UTF-8
)

// Fields of rcpt_get.
const (
	RcptAddress  int32 = 0 // as it is now
	RcptOriginal int32 = 1 // as RCPT gave it
	RcptResolved int32 = 2 // the account whose mailbox it comes down to; known behind the queue
	RcptORCPT    int32 = 3 // "rfc822;bob@example.org"
	RcptNotify   int32 = 4 // "SUCCESS,FAILURE,DELAY" or "NEVER"
	RcptStatus   int32 = 5 // the outcome of the last attempt, "deferred"; known behind the queue
	RcptReply    int32 = 6 // what the last attempt heard, "450 4.2.0 Busy"; known behind the queue
)

// AllRecipients is what route and deliver take for all recipients.
const AllRecipients int32 = -1

// Flags of route.
const (
	RouteRequireTLS int32 = 1
	RouteNoMX       int32 = 2
)

// Scopes of notes.
const (
	ScopeConnection  int32 = 0
	ScopeTransaction int32 = 1
	ScopeQueued      int32 = 2
)
