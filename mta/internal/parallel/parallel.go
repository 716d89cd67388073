// Package parallel runs a function for each of some things at the same time.
package parallel

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// A Panic is what [Do] panics with: the first panic of a call, and where it
// was.
type Panic struct {
	Value any
	Stack []byte
}

// String says both.
func (p *Panic) String() string { return fmt.Sprintf("%v\n\n%s", p.Value, p.Stack) }

// Do calls f(0) to f(n-1), at most limit of them at a time (zero: all), and
// returns when all have. If one panics, Do does so in the caller's goroutine
// once the others have returned: whoever recovers there has them all.
func Do(limit, n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	if limit <= 0 || limit > n {
		limit = n
	}
	var wg sync.WaitGroup
	var once sync.Once
	var failed *Panic
	places := make(chan struct{}, limit)
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() {
				if v := recover(); v != nil {
					once.Do(func() { failed = &Panic{v, debug.Stack()} })
				}
				<-places
			}()
			f(i)
		})
	}
	wg.Wait()
	if failed != nil {
		panic(failed)
	}
}
