package daemon

import (
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/metrics"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// nextHops are those of queue.next_hops, as the queue has them.
func nextHops(cfg *config.Config) []queue.NextHop {
	var all []queue.NextHop
	for _, h := range cfg.Queue.NextHops {
		all = append(all, queue.NextHop{
			Pattern: h.Pattern, Concurrency: h.Concurrency,
			Rate: queue.Rate(h.Rate), Schedule: queue.Schedule(h.Retry),
		})
	}
	return all
}

// messages is how many one connection to a lane carries at most; zero where the
// file does not say.
func messages(cfg *config.Config) func(lane string) int {
	hops := nextHops(cfg)
	return func(lane string) int {
		for i := range hops {
			if hops[i].Matches(lane) {
				return cfg.Queue.NextHops[i].Messages
			}
		}
		return 0
	}
}

// retryOn are the schedules that differ from queue.retry.
func retryOn(r *config.RetryOn) map[queue.Reason]queue.Schedule {
	all := map[queue.Reason]queue.Schedule{
		queue.ReasonUnreachable: queue.Schedule(r.Unreachable), queue.ReasonTimeout: queue.Schedule(r.Timeout),
		queue.ReasonDNS: queue.Schedule(r.DNS), queue.ReasonTLS: queue.Schedule(r.TLS),
		queue.ReasonAuth: queue.Schedule(r.Auth), queue.ReasonBusy: queue.Schedule(r.Busy),
		queue.ReasonGreylisted: queue.Schedule(r.Greylisted), queue.ReasonFull: queue.Schedule(r.Full),
	}
	for why, s := range all {
		if s == (queue.Schedule{}) {
			delete(all, why)
		}
	}
	return all
}

// nextHopStates puts together what the store knows of lanes, of all nodes, and
// what this one does at them.
func nextHopStates(stats queue.Stats, lanes []queue.LaneStatus) []metrics.NextHopState {
	all := make([]metrics.NextHopState, 0, len(lanes))
	at := make(map[string]int, len(lanes))
	for _, l := range lanes {
		at[l.Lane] = len(all)
		all = append(all, metrics.NextHopState{
			Lane: l.Lane, Active: l.Active, Limit: l.Limit,
			Down: l.State == queue.LaneDown || l.State == queue.LaneProbe,
		})
	}
	for _, l := range stats.Lanes {
		i, known := at[l.Lane]
		if !known {
			i = len(all)
			all = append(all, metrics.NextHopState{Lane: l.Lane})
		}
		all[i].Messages = l.Entries
	}
	return all
}
