package abi

import "slices"

// A HookSet is a set of hooks.
type HookSet uint16

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

// The hooks by what they are asked about.
var (
	// Incoming have an envelope that can still change.
	Incoming = SetOf(HookMail, HookRcpt, HookData, HookHeaders, HookMessage)
	// Sessions have a client that waits, or waited.
	Sessions = SetOf(HookConnect, HookHelo, HookAuth, HookDisconnect) | Incoming
	// Queued are asked about mail that we answer for.
	Queued = SetOf(HookRoute, HookLocal, HookDelivery, HookDSN)

	allHooks    = HookSet(1<<len(Hooks) - 1)
	afterLoad   = allHooks &^ SetOf(HookLoad)
	withHeader  = SetOf(HookHeaders, HookMessage) | Queued
	withMessage = SetOf(HookMessage) | Queued
	editable    = SetOf(HookMessage, HookDSN) // nobody answers for it yet
)

// The kinds of access that there are. A function of [Functions] has one.
var (
	AccessAny        = Access{0, allHooks}
	AccessAfterLoad  = Access{0, afterLoad}
	AccessClock      = Access{GrantClock, allHooks}
	AccessRandom     = Access{GrantRandom, allHooks}
	AccessReply      = Access{0, allHooks &^ SetOf(HookDisconnect)}
	AccessEnvelope   = Access{GrantEnvelope, Incoming | Queued}
	AccessSetSender  = Access{GrantEnvelope, Incoming}
	AccessSetRcpt    = Access{GrantEnvelope, Incoming &^ SetOf(HookMail)}
	AccessSetRcpts   = Access{GrantEnvelope, Incoming &^ SetOf(HookMail, HookRcpt)}
	AccessReplyRcpt  = Access{GrantEnvelope, Incoming&^SetOf(HookMail) | Queued&^SetOf(HookDSN)}
	AccessReadHeader = Access{GrantHeaders, withHeader}
	AccessEditHeader = Access{GrantHeaders, editable | SetOf(HookHeaders)}
	AccessReadPart   = Access{GrantBody, withMessage}
	AccessEditPart   = Access{GrantBody, editable}
	AccessReadAll    = Access{GrantHeaders | GrantBody, withMessage}
	AccessEditAll    = Access{GrantHeaders | GrantBody, editable}
	AccessBlob       = Access{0, withMessage &^ SetOf(HookRoute)}
	AccessRoute      = Access{GrantRoute, Incoming&^SetOf(HookMail) | SetOf(HookRoute)}
	AccessDeliver    = Access{GrantRoute, Incoming&^SetOf(HookMail) | SetOf(HookRoute, HookLocal)}
	AccessRetry      = Access{GrantRoute, SetOf(HookRoute, HookDelivery)}
	AccessQuarantine = Access{0, Sessions&^SetOf(HookDisconnect) | SetOf(HookRoute, HookDSN)}
	AccessVariant    = Access{GrantEnvelope, SetOf(HookMessage)}
	AccessSend       = Access{GrantSend, SetOf(HookMessage, HookLocal, HookDelivery)}
	AccessKV         = Access{GrantKV, afterLoad}
	AccessDNS        = Access{GrantDNS, afterLoad}
)

// In tells whether the access holds in a hook.
func (a Access) In(hook string) bool { return a.Hooks.Has(SetOf(hook)) }

// verdicts are the hooks that can return each; those that are not here are
// for all.
var verdicts = map[Verdict]HookSet{
	Reject:     allHooks &^ SetOf(HookDSN, HookDisconnect),
	Defer:      allHooks &^ SetOf(HookDelivery, HookDSN, HookDisconnect),
	Discard:    Incoming | SetOf(HookRoute, HookLocal, HookDSN),
	Quarantine: Sessions&^SetOf(HookDisconnect) | SetOf(HookRoute, HookDSN),
	Disconnect: SetOf(HookConnect, HookHelo, HookAuth) | Incoming,
}

// In tells whether a hook can return v.
func (v Verdict) In(hook string) bool {
	set, limited := verdicts[v]
	return v >= 0 && v <= LastVerdict && (!limited || set.Has(SetOf(hook)))
}
