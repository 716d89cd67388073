package config

import "time"

// Defaults is the Config of a file that says nothing.
func Defaults() Config {
	return Config{
		State: "var",
		Relay: Relay{
			Routes:      []Route{{Domain: "*", To: Endpoint{Scheme: "mx"}}},
			TLS:         SecurityOpportunistic,
			MTASTS:      "enforce",
			DANE:        "auto",
			IP:          "any",
			Connections: 900,              // of the 1,024 file handles that a process has where nobody says otherwise
			Timeout:     time.Minute,      // most peers answer within seconds; the five minutes of RFC 5321 §4.5.3.2 tie up an attempt
			FinalReply:  10 * time.Minute, // RFC 5321 §4.5.3.2.6
			Concurrency: 20,               // what Postfix grows to, and so what receivers are used to
		},
		Queue: Queue{
			Store: Spool,
			Retry: Retry{First: time.Minute, Factor: 2, Max: 4 * time.Hour}, // greylisting ends within minutes; then RFC 5321 §4.5.4.1
			RetryOn: RetryOn{
				Timeout:    Retry{First: 5 * time.Minute, Factor: 2, Max: 4 * time.Hour}, // each attempt takes minutes
				TLS:        Retry{First: 15 * time.Minute, Factor: 2, Max: 4 * time.Hour},
				Auth:       Retry{First: 15 * time.Minute, Factor: 2, Max: 4 * time.Hour},
				Greylisted: Retry{First: 6 * time.Minute, Factor: 1.5, Max: time.Hour}, // over five minutes with the jitter taken off
				Full:       Retry{First: 30 * time.Minute, Factor: 2, Max: 4 * time.Hour},
			},
			WarnAfter:   4 * time.Hour,
			ExpireAfter: 5 * 24 * time.Hour, // RFC 5321 §4.5.4.1: at least 4 to 5 days
			Concurrency: 500,                // enough to hide hundreds of slow next hops, and half of 1,024 file handles

			Durability:   "strict",
			ContentLimit: 1 << 20, // what Redis moves without making others wait
			Prefix:       "mta",
			Lease:        2 * time.Minute,
		},
		Limits: Limits{
			Message:     50 << 20,
			Recipients:  1000,     // RFC 5321 §4.5.3.1.8 asks for 100
			Line:        64 << 10, // RFC 5321 §4.5.3.1.6 asks for 1000 octets; real mail has more
			Connections: 1000,
			PerAddress:  50,
			Idle:        5 * time.Minute, // RFC 5321 §4.5.3.2.7
			Data:        10 * time.Minute,
			DataIdle:    3 * time.Minute, // RFC 5321 §4.5.3.2.5
			Errors:      20,
			Hops:        50, // RFC 5321 §6.3 asks for 100 at least of simple counters; 50 is what MTAs in use have
		},
		Log: Log{Level: "info", Format: "text"},
	}
}

func defaultDomain() Domain { return Domain{Deliver: Endpoint{Scheme: "mailbox"}} }
