package mail

import "time"

// Usage is what one hook call used of its budget. All but Time is the same on
// each machine, for the same plugin, config and message.
type Usage struct {
	Fuel      uint64        // units of about one instruction, more for work of the host
	HostCalls int           // functions of the host that the guest called
	Memory    int64         // octets of linear memory at the end
	Log       int           // octets that the guest logged, or wrote to its output
	Time      time.Duration // of the guest, without waiting for one
}
