package spool

// maxRun is how many slots one run of a sorted list has at most: moving them all
// is cheap, and a million entries are 2,000 runs or a few more.
const maxRun = 512

// A sorted is slots in an order that less knows, in runs: four octets for each.
type sorted struct {
	runs [][]uint32
}

// find returns the run and the place in it of the first slot that is not before
// something, which before tells of a slot.
func (s *sorted) find(before func(slot uint32) bool) (run, at int) {
	lo, hi := 0, len(s.runs)
	if hi > 0 {
		if r := s.runs[hi-1]; before(r[len(r)-1]) { // what is new nearly always
			return hi, 0
		}
	}
	for lo < hi { // the first run whose last is not before it
		mid := (lo + hi) / 2
		if r := s.runs[mid]; before(r[len(r)-1]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	run = lo
	if run == len(s.runs) {
		return run, 0
	}
	r := s.runs[run]
	lo, hi = 0, len(r)
	for lo < hi {
		mid := (lo + hi) / 2
		if before(r[mid]) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return run, lo
}

// insert puts a slot where find says.
func (s *sorted) insert(slot uint32, before func(slot uint32) bool) {
	run, at := s.find(before)
	if run == len(s.runs) { // behind all
		if run == 0 || len(s.runs[run-1]) == maxRun {
			s.runs = append(s.runs, make([]uint32, 0, maxRun))
		}
		last := len(s.runs) - 1
		s.runs[last] = append(s.runs[last], slot)
		return
	}
	if len(s.runs[run]) == maxRun {
		s.split(run)
		if half := len(s.runs[run]); at > half {
			run, at = run+1, at-half
		}
	}
	r := append(s.runs[run], 0)
	copy(r[at+1:], r[at:])
	r[at] = slot
	s.runs[run] = r
}

// split makes two runs of one.
func (s *sorted) split(run int) {
	r := s.runs[run]
	second := append(make([]uint32, 0, maxRun), r[maxRun/2:]...)
	s.runs = append(s.runs, nil)
	copy(s.runs[run+2:], s.runs[run+1:])
	s.runs[run], s.runs[run+1] = r[:maxRun/2], second
}

// remove takes out the slot at a place. A run that is nearly empty goes into the
// one before it, if there is room.
func (s *sorted) remove(run, at int) {
	r := s.runs[run]
	copy(r[at:], r[at+1:])
	r = r[:len(r)-1]
	s.runs[run] = r
	if len(r) > 0 {
		if len(r) > maxRun/4 || run == 0 || len(s.runs[run-1])+len(r) > maxRun {
			return
		}
		s.runs[run-1] = append(s.runs[run-1], r...)
	}
	copy(s.runs[run:], s.runs[run+1:])
	s.runs[len(s.runs)-1] = nil
	s.runs = s.runs[:len(s.runs)-1]
}
