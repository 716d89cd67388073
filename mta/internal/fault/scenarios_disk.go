package fault

import "time"

// onDisk puts the state of the nodes onto a disk of the run's. With Redis, which is
// elsewhere, that is their mailboxes, their copies, and what they take without it.
func onDisk(r *Run) error {
	d, err := newDisk(r.Dir)
	if err != nil {
		return err
	}
	r.disk = d
	r.cleanup = append(r.cleanup, func() { sh("umount", d.dir) })
	return nil
}

func powerCut() *Scenario {
	return &Scenario{
		Name: "power", What: "power cut: what was not synced to the filesystem is gone, the server is killed and started again",
		Stores: []string{Spool, Redis}, Times: 20, Load: Load{Refused: true},
		Needs: diskNeeds, Prepare: onDisk,
		Fault: func(r *Run, _ int) error {
			n := r.Nodes[0]
			from := time.Now()
			if err := r.disk.cut(); err != nil {
				return err
			}
			n.kill()
			r.Ledger.noDisk(n.Name, from, time.Now())
			if err := r.disk.repair(); err != nil {
				return err
			}
			return n.start()
		},
	}
}

func diskFull() *Scenario {
	return &Scenario{
		Name: "disk-full", What: "the disk is full for a second; every other time the server is killed meanwhile",
		Stores: []string{Spool, Redis}, Times: 10, Load: Load{Refused: true},
		Needs: diskNeeds, Prepare: onDisk,
		Fault: func(r *Run, i int) error {
			from := time.Now()
			if err := r.disk.fill(); err != nil {
				return err
			}
			time.Sleep(time.Second)
			if i%2 == 0 {
				return r.disk.empty()
			}
			r.Nodes[0].kill()
			r.Ledger.noDisk(r.Nodes[0].Name, from, time.Now())
			if err := r.disk.empty(); err != nil {
				return err
			}
			return r.Nodes[0].start()
		},
		Check: func(r *Run, result *Result) {
			if r.Store == Spool && result.Refused[452] == 0 {
				result.violation("no 452: nothing was refused for want of room; %v", result.Refused)
			}
		},
	}
}

func diskReadOnly() *Scenario {
	return &Scenario{
		Name: "disk-readonly", What: "the filesystem finds an error and becomes read-only; then it is repaired and the server started again",
		Stores: []string{Spool, Redis}, Times: 10, Load: Load{Refused: true},
		Needs: diskNeeds, Prepare: onDisk,
		Fault: func(r *Run, _ int) error {
			n, from := r.Nodes[0], time.Now()
			if err := r.disk.fail(); err != nil {
				return err
			}
			r.onBrokenDisk()
			n.kill()
			r.Ledger.noDisk(n.Name, from, time.Now())
			if err := r.disk.repair(); err != nil {
				return err
			}
			return n.start()
		},
	}
}

// onBrokenDisk gives transactions in flight a moment to end. From then on, for a
// while, nothing may be answered 250, since nothing can be stored; unless Redis
// stores it, for then mail has to be taken on.
func (r *Run) onBrokenDisk() {
	time.Sleep(time.Second)
	before := r.Ledger.Accepted()
	time.Sleep(time.Second)
	n := r.Ledger.Accepted() - before
	switch {
	case r.Store == Spool && n > 0:
		r.Ledger.note("250 without storage: %d messages", n)
	case r.Store == Redis && n == 0:
		r.Ledger.note("not served: nothing was answered 250 though Redis was there")
	}
}

func diskSlow() *Scenario {
	return &Scenario{
		Name: "disk-slow", What: "the filesystem stands still, five times for up to 400 ms",
		Stores: []string{Spool, Redis}, Times: 10, Load: Load{Refused: true},
		Needs: diskNeeds, Prepare: onDisk,
		Fault: func(r *Run, _ int) error {
			for range 5 {
				if err := r.disk.freeze(upTo(r.random, 400*time.Millisecond)); err != nil {
					return err
				}
				time.Sleep(upTo(r.random, 50*time.Millisecond))
			}
			return nil
		},
	}
}
