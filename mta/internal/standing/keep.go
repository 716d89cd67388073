package standing

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wasmta/wasmta/sdk/host"
)

// The keys of the space. A list that may be long is in several, by a hash, so
// that none of them is larger than a value may be.
const (
	versionKey = "version" // a counter: it grows with each change
	rulesKey   = "rules"   // []Rule
	bucketKey  = "suppressed/"
	buckets    = 128
)

// maxTries is how often a change is tried again that another one came before.
const maxTries = 20

// all are the orders at one moment. They are not changed.
type all struct {
	version    int64
	read       time.Time // when, by this node's clock
	rules      []Rule    // by name
	suppressed map[string]Suppression
	raw        map[string][]byte // as it is kept
}

// A key is compared without regard to case: whoever suppresses Bob@ means bob@
// too, though local parts may differ by case (RFC 5321 §2.4).
func keyOf(address string) string { return strings.ToLower(address) }

func bucketOf(key string) string {
	h := fnv.New32a()
	h.Write([]byte(key)) // never fails (package hash)
	return bucketKey + strconv.Itoa(int(h.Sum32()%buckets))
}

func readVersion(ctx context.Context, kv KV) (int64, error) {
	b, err := get(ctx, kv, versionKey)
	if err != nil || b == nil {
		return 0, err
	}
	return strconv.ParseInt(string(b), 10, 64)
}

// get is nil for a key that is not there.
func get(ctx context.Context, kv KV, key string) ([]byte, error) {
	b, err := kv.Get(ctx, key)
	if errors.Is(err, host.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

// read reads all. The version comes first: what changes meanwhile is then read
// again.
func read(ctx context.Context, kv KV) (*all, error) {
	a := &all{suppressed: map[string]Suppression{}, raw: map[string][]byte{}}
	var err error
	if a.version, err = readVersion(ctx, kv); err != nil {
		return nil, err
	}
	if a.rules, err = readList[Rule](ctx, kv, rulesKey, a.raw); err != nil {
		return nil, err
	}
	for _, key := range keys()[1:] {
		list, err := readList[Suppression](ctx, kv, key, a.raw)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			a.suppressed[keyOf(s.Address)] = s
		}
	}
	return a, nil
}

func readList[T any](ctx context.Context, kv KV, key string, raw map[string][]byte) (list []T, err error) {
	b, err := get(ctx, kv, key)
	if err != nil || b == nil {
		return nil, err
	}
	raw[key] = b
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("what is kept as %s: %w", key, err)
	}
	return list, nil
}

// writeTo makes kv have what a has, the version last.
func (a *all) writeTo(ctx context.Context, kv KV) error {
	for _, key := range keys() {
		next := a.raw[key]
		if next == nil {
			next = []byte("[]")
		}
		old, err := get(ctx, kv, key)
		if err == nil && !bytes.Equal(old, next) {
			err = kv.Set(ctx, key, next, 0)
		}
		if err != nil {
			return err
		}
	}
	return kv.Set(ctx, versionKey, strconv.AppendInt(nil, a.version, 10), 0)
}

// keys are those of the lists.
func keys() []string {
	all := []string{rulesKey}
	for i := range buckets {
		all = append(all, bucketKey+strconv.Itoa(i))
	}
	return all
}

// putBack adds what a has to a store that lost it, beside what was written
// there since, and makes the version higher than any that nodes know.
func putBack(ctx context.Context, kv KV, a *all, version int64) error {
	for _, key := range keys() {
		if a.raw[key] == nil {
			continue
		}
		var err error
		if key == rulesKey {
			err = merge(ctx, kv, key, a.raw[key], func(r Rule) string { return r.Name })
		} else {
			err = merge(ctx, kv, key, a.raw[key], func(s Suppression) string { return keyOf(s.Address) })
		}
		if err != nil {
			return err
		}
	}
	_, err := kv.Add(ctx, versionKey, a.version+1-version, 0)
	return err
}

// merge adds to a list what is in known and not in the list by name.
func merge[T any](ctx context.Context, kv KV, key string, known []byte, name func(T) string) error {
	var lost []T
	if err := json.Unmarshal(known, &lost); err != nil {
		return err
	}
	return swap(ctx, kv, key, func(list []T) ([]T, error) {
		there := map[string]bool{}
		for _, v := range list {
			there[name(v)] = true
		}
		for _, v := range lost {
			if !there[name(v)] {
				list = append(list, v)
			}
		}
		slices.SortFunc(list, func(a, b T) int { return strings.Compare(name(a), name(b)) })
		return list, nil
	})
}

// edit changes one list, whatever other nodes do at the same time. It returns
// once the change is on stable storage and in force here.
func edit[T any](ctx context.Context, o *Orders, key string, do func([]T) ([]T, error)) error {
	if err := swap(ctx, o.KV, key, do); err != nil {
		return err
	}
	return o.tell(context.WithoutCancel(ctx)) // the change is made
}

// swap replaces a list by what do makes of it.
func swap[T any](ctx context.Context, kv KV, key string, do func([]T) ([]T, error)) error {
	for range maxTries {
		old, err := get(ctx, kv, key)
		if err != nil {
			return err
		}
		var list []T
		if old != nil {
			if err := json.Unmarshal(old, &list); err != nil {
				return fmt.Errorf("what is kept as %s: %w", key, err)
			}
		}
		if list, err = do(list); err != nil {
			return err
		}
		next, err := json.Marshal(list)
		if err != nil {
			return err
		}
		err = kv.CompareAndSwap(ctx, key, old, next, 0)
		switch {
		case errors.Is(err, host.ErrConflict):
			continue
		case errors.Is(err, host.ErrLimit):
			return fmt.Errorf("%w: there is no room for more", ErrFull)
		}
		return err
	}
	return errors.New("others change the list all the time; try again")
}

// tell has other nodes see a change, and this one too.
func (o *Orders) tell(ctx context.Context) error {
	if _, err := o.KV.Add(ctx, versionKey, 1, 0); err != nil {
		return err
	}
	if o.Sync != nil {
		if err := o.Sync(); err != nil {
			return err
		}
	}
	return o.reload(ctx)
}
