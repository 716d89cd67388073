package wasm

// A fileEffect is what a function of WASI does to the files that a guest has
// open.
type fileEffect byte

const (
	none   fileEffect = iota
	opens             // one more
	closes            // one less
	moves             // how far one was read, or its flags, change
	mixes             // anything
)

// files follows what a guest has open, in as far as a later message could see
// it: a file that is opened and closed in one call is gone, and the next one
// gets its number again.
type files struct {
	first   int32 // number of the first file that is no stream and no folder that is given
	open    int   // files that the guest opened and did not close
	kept    int   // of these, when the image was made
	changed bool  // something is not as it was, and cannot be put back
	last    int32 // what the call that is under way is about
}

// before notes what a call is about.
func (f *files) before(e fileEffect, params []uint64) {
	if e != none {
		f.last = int32(params[0])
	}
}

// after notes what a call did that succeeded.
func (f *files) after(e fileEffect) {
	old := f.last < f.first || f.kept > 0 // it may be one from before this call
	switch e {
	case opens:
		f.open++
	case closes:
		f.open--
		f.changed = f.changed || old
	case moves:
		f.changed = f.changed || old && f.last > stderr
	case mixes:
		f.changed = true
	}
}

// stderr is the last of the numbers that are streams: nothing remains of
// reading and writing these, as stdin is empty.
const stderr = 2

// left tells whether a call left something behind.
func (f *files) left() bool { return f.changed || f.open != f.kept }
