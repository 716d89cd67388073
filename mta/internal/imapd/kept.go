package imapd

import (
	"slices"
	"strings"
	"sync/atomic"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
)

// keptFields are those that clients search again and again, with each letter
// that somebody types.
var keptFields = [...]string{"Subject", "From", "To", "Cc", "Bcc"}

const (
	// maxKept is how many octets all sessions together keep: about 200,000
	// messages. Beyond it, searching opens the messages again.
	maxKept = 64 << 20
	// keptEach is what a message costs besides the values.
	keptEach = 300
)

// values are a message's keptFields, decoded.
type values [len(keptFields)][]string

// A keeper has the fields of messages of the selected mailbox that were
// searched. A message never changes, so they stay right.
type keeper struct {
	messages map[mailbox.UID]*values
	used     int64
}

// get returns the values of the field with that name. ok is false for fields
// that are not kept. read is called if they are not known yet; they stay
// unknown if it returns nil.
func (k *keeper) get(total *atomic.Int64, uid mailbox.UID, name string, read func() *content) (found []string, ok bool) {
	i := slices.IndexFunc(keptFields[:], func(f string) bool { return strings.EqualFold(f, name) })
	if i < 0 {
		return nil, false
	}
	if v := k.messages[uid]; v != nil {
		return v[i], true
	}
	c := read()
	if c == nil {
		return nil, true
	}
	if total.Load() >= maxKept {
		return nil, false
	}
	v, size := new(values), int64(keptEach)
	for n, field := range keptFields {
		v[n] = c.fields(field)
		for _, s := range v[n] {
			size += int64(len(s))
		}
	}
	if k.messages == nil {
		k.messages = map[mailbox.UID]*values{}
	}
	k.messages[uid] = v
	k.used += size
	total.Add(size)
	return v[i], true
}

// drop forgets all.
func (k *keeper) drop(total *atomic.Int64) {
	total.Add(-k.used)
	*k = keeper{}
}
