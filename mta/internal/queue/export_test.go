package queue

import "time"

// SetWall has the queue believe that the wall clock says something else.
func (q *Queue) SetWall(f func(time.Time) time.Time) { q.clock.wall = f }
