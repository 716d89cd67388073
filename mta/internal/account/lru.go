package account

import "container/list"

// An lru is a map that forgets what was not used for longest once it has max
// entries. Its user locks it.
type lru[K comparable, V any] struct {
	max   int
	order list.List // of *entry[K, V]; the latest used at the front
	byKey map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, byKey: map[K]*list.Element{}}
}

// get returns the value of key, and whether it is there.
func (l *lru[K, V]) get(key K) (value V, ok bool) {
	e := l.byKey[key]
	if e == nil {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruEntry[K, V]).value, true
}

// put sets the value of key.
func (l *lru[K, V]) put(key K, value V) {
	if e := l.byKey[key]; e != nil {
		e.Value.(*lruEntry[K, V]).value = value
		l.order.MoveToFront(e)
		return
	}
	l.byKey[key] = l.order.PushFront(&lruEntry[K, V]{key, value})
	if l.order.Len() > l.max {
		oldest := l.order.Back()
		delete(l.byKey, l.order.Remove(oldest).(*lruEntry[K, V]).key)
	}
}

// remove forgets key.
func (l *lru[K, V]) remove(key K) {
	if e := l.byKey[key]; e != nil {
		l.order.Remove(e)
		delete(l.byKey, key)
	}
}
