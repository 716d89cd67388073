package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/sdk/host"
)

// A model is what a store is to do, in the plainest form: a map and a clock.
type model struct {
	s      Subject
	now    time.Duration
	values map[string]modelValue // by space and key
}

type modelValue struct {
	value   []byte
	expires time.Duration // zero: never
}

// get is nil for what is not there.
func (m *model) get(id string) []byte {
	v, ok := m.values[id]
	if !ok || v.expires != 0 && m.now >= v.expires {
		delete(m.values, id)
		return nil
	}
	return v.value
}

func (m *model) set(id string, value []byte, ttl time.Duration) {
	v := modelValue{value: append([]byte{}, value...)}
	if ttl != 0 {
		v.expires = m.now + ttl
	}
	m.values[id] = v
}

// A place is a key of a space, for both.
type place struct {
	kv      host.KV
	key, id string
}

func (m *model) place(t *rapid.T) place {
	space := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "space")
	key := rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "key")
	return place{m.s.Space(space), key, space + "/" + key}
}

var (
	modelValues = rapid.SampledFrom([]string{"", "1", "-7", "v", "9223372036854775807"})
	modelTTLs   = rapid.SampledFrom([]time.Duration{0, time.Second, 10 * time.Second})
)

func testModel(t *testing.T, s Subject) {
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		fresh := s // one store for all rounds: each has spaces of its own
		fresh.Space = func(name string) host.KV { return s.Space(fmt.Sprintf("%s-%d", name, round)) }
		m := &model{s: fresh, values: map[string]modelValue{}}
		t.Repeat(map[string]func(*rapid.T){
			"get": m.checkGet, "set": m.checkSet, "delete": m.checkDelete, "add": m.checkAdd, "swap": m.checkSwap,
			"wait": func(t *rapid.T) {
				d := rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 5 * time.Second}).Draw(t, "time")
				m.now += d
				m.s.Advance(d)
			},
		})
	})
}

func (m *model) checkGet(t *rapid.T) {
	p := m.place(t)
	want := m.get(p.id)
	got, err := p.kv.Get(ctx, p.key)
	if want == nil && !errors.Is(err, host.ErrNotFound) || want != nil && (err != nil || !bytes.Equal(got, want)) {
		t.Fatalf("get %s: got %q, %v; want %q", p.id, got, err, want)
	}
}

func (m *model) checkSet(t *rapid.T) {
	p, v, ttl := m.place(t), modelValues.Draw(t, "value"), modelTTLs.Draw(t, "ttl")
	if err := p.kv.Set(ctx, p.key, []byte(v), ttl); err != nil {
		t.Fatal(err)
	}
	m.set(p.id, []byte(v), ttl)
}

func (m *model) checkDelete(t *rapid.T) {
	p := m.place(t)
	if err := p.kv.Delete(ctx, p.key); err != nil {
		t.Fatal(err)
	}
	delete(m.values, p.id)
}

func (m *model) checkAdd(t *rapid.T) {
	p, ttl := m.place(t), modelTTLs.Draw(t, "ttl")
	delta := rapid.Int64Range(-3, 3).Draw(t, "delta")
	had := m.get(p.id)
	n, number := int64(0), error(nil)
	if had != nil {
		n, number = strconv.ParseInt(string(had), 10, 64)
	}
	got, err := p.kv.Add(ctx, p.key, delta, ttl)
	switch {
	case number != nil:
		if !errors.Is(err, host.ErrConflict) {
			t.Fatalf("add to %q: got %d, %v", had, got, err)
		}
		return
	case delta > 0 && n+delta < n:
		if !errors.Is(err, host.ErrLimit) {
			t.Fatalf("add %d to %d: got %d, %v", delta, n, got, err)
		}
		return
	case err != nil || got != n+delta:
		t.Fatalf("add %d to %d: got %d, %v", delta, n, got, err)
	}
	sum := []byte(strconv.FormatInt(n+delta, 10))
	if had == nil {
		m.set(p.id, sum, ttl)
		return
	}
	v := m.values[p.id]
	v.value = sum
	m.values[p.id] = v
}

func (m *model) checkSwap(t *rapid.T) {
	p, ttl := m.place(t), modelTTLs.Draw(t, "ttl")
	orNothing := func(label string) []byte {
		if rapid.Bool().Draw(t, label+" is nothing") {
			return nil
		}
		return []byte(modelValues.Draw(t, label))
	}
	old, next := orNothing("old"), orNothing("new")
	had := m.get(p.id)
	conflict := (had == nil) != (old == nil) || !bytes.Equal(had, old)
	err := p.kv.CompareAndSwap(ctx, p.key, old, next, ttl)
	if errors.Is(err, host.ErrConflict) != conflict || err != nil && !conflict {
		t.Fatalf("swap %q for %q where %q is: got %v", next, old, had, err)
	}
	switch {
	case conflict:
	case next == nil:
		delete(m.values, p.id)
	default:
		m.set(p.id, next, ttl)
	}
}
