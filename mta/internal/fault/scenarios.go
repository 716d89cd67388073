package fault

import (
	"slices"
	"time"
)

// Scenarios are all that there are, in the order of the table.
func Scenarios() []*Scenario {
	return slices.Concat(
		[]*Scenario{killed(), killedAtStart(), powerCut(), diskFull(), diskReadOnly(), diskSlow(), clockJumps()},
		callFaults(),
		nextHops(),
		redisFaults(),
	)
}

func killed() *Scenario {
	return &Scenario{
		Name: "kill", What: "SIGKILL of the server under load, started again at once",
		Stores: []string{Spool, Redis}, Times: 50,
		Load: Load{Refused: true},
		Fault: func(r *Run, _ int) error {
			r.Nodes[0].kill()
			return r.Nodes[0].start()
		},
	}
}

func killedAtStart() *Scenario {
	return &Scenario{
		Name: "kill-start", What: "SIGKILL under load, and again within the first milliseconds of each of three starts",
		Stores: []string{Spool, Redis}, Times: 20,
		Load: Load{Refused: true},
		Fault: func(r *Run, _ int) error {
			n := r.Nodes[0]
			n.kill()
			for range 3 {
				if err := n.spawn(); err != nil {
					return err
				}
				time.Sleep(upTo(r.random, 150*time.Millisecond)) // from before it reads its file to after it serves
				n.kill()
			}
			return n.start()
		},
	}
}
