package abi

import "slices"

// A HookSet is a set of hooks.
type HookSet uint16

// The sets of one hook, in the order of [Hooks].
const (
	inLoad HookSet = 1 << iota
	inConnect
	inHelo
	inAuth
	inMail
	inRcpt
	inData
	inHeaders
	inMessage
	inRoute
	inLocal
	inDelivery
	inDSN
	inDisconnect

	allHooks  = inDisconnect<<1 - 1
	afterLoad = allHooks &^ inLoad
)

// The hooks by what they are asked about.
const (
	// Incoming have an envelope that can still change.
	Incoming = inMail | inRcpt | inData | inHeaders | inMessage
	// Sessions have a client that waits, or waited.
	Sessions = inConnect | inHelo | inAuth | Incoming | inDisconnect
	// Queued are asked about mail that we answer for.
	Queued = inRoute | inLocal | inDelivery | inDSN

	waiting     = Sessions &^ inDisconnect
	withHeader  = inHeaders | inMessage | Queued
	withMessage = inMessage | Queued
	editable    = inMessage | inDSN // nobody answers for it yet
)

// SetOf is the set of some hooks; what is no hook is not in it.
func SetOf(hooks ...string) HookSet {
	var s HookSet
	for _, hook := range hooks {
		if i := slices.Index(Hooks[:], hook); i >= 0 {
			s |= 1 << i
		}
	}
	return s
}

// Has tells whether all hooks of t are in s, and there is one.
func (s HookSet) Has(t HookSet) bool { return t != 0 && t&^s == 0 }

// Hooks are the names of those in s, in the order of a message's life.
func (s HookSet) Hooks() []string {
	var names []string
	for i, hook := range Hooks {
		if s&(1<<i) != 0 {
			names = append(names, hook)
		}
	}
	return names
}

// An Access says who may call a function, and when: with which grants (all of
// them), and in which hooks. In other hooks the function answers [WrongStage],
// without the grants [NotGranted], in this order.
type Access struct {
	Grant Grant
	Hooks HookSet
}

// In tells whether the access holds in a hook.
func (a Access) In(hook string) bool { return a.Hooks.Has(SetOf(hook)) }

// The kinds of access that there are. A function of [Functions] has one.
var (
	AccessAny        = Access{0, allHooks}
	AccessAfterLoad  = Access{0, afterLoad}
	AccessClock      = Access{GrantClock, allHooks}
	AccessRandom     = Access{GrantRandom, allHooks}
	AccessReply      = Access{0, allHooks &^ inDisconnect}
	AccessEnvelope   = Access{GrantEnvelope, Incoming | Queued}
	AccessSetSender  = Access{GrantEnvelope, Incoming}
	AccessSetRcpt    = Access{GrantEnvelope, Incoming &^ inMail}
	AccessSetRcpts   = Access{GrantEnvelope, Incoming &^ inMail &^ inRcpt}
	AccessReplyRcpt  = Access{GrantEnvelope, Incoming&^inMail | Queued&^inDSN}
	AccessReadHeader = Access{GrantHeaders, withHeader}
	AccessEditHeader = Access{GrantHeaders, editable | inHeaders}
	AccessReadPart   = Access{GrantBody, withMessage}
	AccessEditPart   = Access{GrantBody, editable}
	AccessReadAll    = Access{GrantHeaders | GrantBody, withMessage}
	AccessEditAll    = Access{GrantHeaders | GrantBody, editable}
	AccessBlob       = Access{0, withMessage &^ inRoute}
	AccessRoute      = Access{GrantRoute, Incoming&^inMail | inRoute}
	AccessDeliver    = Access{GrantRoute, Incoming&^inMail | inRoute | inLocal}
	AccessRetry      = Access{GrantRoute, inRoute | inLocal | inDelivery}
	AccessQuarantine = Access{0, waiting | inRoute | inLocal | inDelivery | inDSN}
	AccessVariant    = Access{GrantEnvelope, inMessage}
	AccessSend       = Access{GrantSend, inMessage | inLocal | inDelivery}
	AccessKV         = Access{GrantKV, afterLoad}
	AccessDNS        = Access{GrantDNS, afterLoad}
)

// In tells whether a hook can return v.
func (v Verdict) In(hook string) bool { return v.hooks().Has(SetOf(hook)) }

// hooks are those that can return v.
func (v Verdict) hooks() HookSet {
	switch v {
	case Continue, Accept, NotAgain:
		return allHooks
	case Reject:
		return allHooks &^ inDSN &^ inDisconnect
	case Defer:
		return allHooks &^ inDelivery &^ inDSN &^ inDisconnect
	case Discard:
		return Incoming | inRoute | inLocal | inDSN
	case Quarantine:
		return waiting | inRoute | inLocal | inDelivery | inDSN
	case Disconnect:
		return waiting
	}
	return 0
}
