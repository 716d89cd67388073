package host

import (
	"maps"

	"github.com/wasmta/wasmta/sdk/abi"
)

// scopes is how many scopes of notes there are.
const scopes = int(abi.ScopeQueued) + 1

// noteHooks are where the notes of a scope are to be had.
var noteHooks = [scopes]abi.HookSet{
	abi.ScopeConnection:  abi.Sessions,
	abi.ScopeTransaction: abi.Incoming,
	abi.ScopeQueued:      abi.Incoming | abi.Queued,
}

// notes are those of one scope: as they were, and once one is set a copy.
type notes struct {
	old, now map[string]string
	octets   int // of now
}

func (n *notes) get(key string) (string, bool) {
	m := n.now
	if m == nil {
		m = n.old
	}
	v, ok := m[key]
	return v, ok
}

// set is false if the notes would have more octets than limit.
func (n *notes) set(key, value string, limit int) bool {
	if n.now == nil {
		n.octets = 0
		for k, v := range n.old {
			n.octets += len(k) + len(v)
		}
	}
	octets := n.octets + len(value)
	if old, ok := n.get(key); ok {
		octets -= len(old)
	} else {
		octets += len(key)
	}
	if octets > limit {
		return false
	}
	if n.now == nil {
		n.now = make(map[string]string, len(n.old)+1)
		maps.Copy(n.now, n.old)
	}
	n.now[key], n.octets = value, octets
	return true
}

// NoteGet is note_get.
func (c *Call) NoteGet(scope int32, key string) (string, abi.Errno) {
	n, e := c.scope(scope)
	if e != abi.OK {
		return "", e
	}
	v, ok := n.get(key)
	if !ok {
		return "", abi.NotFound
	}
	return v, abi.OK
}

// NoteSet is note_set: whoever is asked later in that scope sees the note,
// which is whichever stage.
func (c *Call) NoteSet(scope int32, key, value string) abi.Errno {
	n, e := c.scope(scope)
	if e != abi.OK {
		return e
	}
	if key == "" || len(key) > c.limits.NoteKey || hasLineBreak(key) {
		return abi.BadArg
	}
	if !n.set(key, value, c.limits.NotesOctets) {
		return abi.Limit
	}
	return abi.OK
}

// scope is the notes of a scope, if this hook has them.
func (c *Call) scope(scope int32) (*notes, abi.Errno) {
	switch {
	case scope < 0 || int(scope) >= scopes:
		return nil, abi.BadArg
	case !noteHooks[scope].Has(c.hook), c.in.AfterQueue && scope != abi.ScopeQueued:
		return nil, abi.WrongStage
	}
	return &c.notes[scope], abi.OK
}
