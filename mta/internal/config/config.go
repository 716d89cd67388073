// Package config reads pipeline.yaml and checks it. It is the only user of the
// YAML library, and imports nothing that it configures: what needs more
// knowledge (conditions, password hashes) comes in through [Options].
//
// One table (keys.go) names every key. Decoding, the JSON Schema
// (mta/pipeline.schema.json) and the reference (mta/docs/pipeline.yaml.md) all
// come from it.
package config

import (
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

//go:generate go test -run TestGenerated -update .

// A Config is one pipeline.yaml. Whoever has one may read it from any
// goroutine; nobody changes it.
type Config struct {
	File       string    // the name it was loaded by
	Dir        string    // its folder; relative paths in the file are relative to it
	Hostname   string    // in the greeting, Received: and DSNs
	State      string    // folder of everything the server writes; joined to Dir
	Listen     Listen    //
	TLS        TLS       //
	Domains    []Domain  // in the order of the file
	Postmaster mail.Path // the address in the file; null: it says nothing
	Accounts   []Account // in the order of the file
	Relay      Relay     //
	Queue      Queue     //
	Plugins    []Plugin  // in the order of the file
	Pipeline   []Stage   // in the order of the file, which is the order of running
	Admin      Admin     //
	Limits     Limits    //
	Log        Log       //
	Tests      []Test    // in the order of the file

	places map[string]Pos // where each value stands, by its path
}

// Listen has the addresses to serve, by protocol.
type Listen struct {
	SMTP        []Address // from other MTAs
	Submission  []Address // from users; AUTH needed
	Submissions []Address // the same over implicit TLS
	LMTP        []Address
	Milter      []Address // not built yet: always empty
	POP3        []Address
	POP3S       []Address
	IMAP        []Address
	IMAPS       []Address
	HTTP        []Address
}

// An Address is where a listener binds. Host is an IP address, "localhost", or
// empty for every address of this machine. Port zero lets the system choose.
type Address struct {
	Host string
	Port uint16
}

// TLS is the server's certificate. Both files are given, or neither.
type TLS struct {
	Cert string // PEM file with the chain; joined to Dir
	Key  string // PEM file; joined to Dir
}

// Enabled tells whether there is a certificate.
func (t TLS) Enabled() bool { return t.Cert != "" }

// A Domain is one that mail is delivered for here.
type Domain struct {
	Name       string    // lower case
	Deliver    Endpoint  // Scheme mailbox, lmtp or smtp
	Postmaster mail.Path // the account that has its mail for postmaster; null: the first of the domain's
}

// DoubleBounces is who is told of notifications that cannot be delivered: the
// postmaster, or else that of the first domain; null: nobody.
func (c *Config) DoubleBounces() mail.Path {
	if c.Postmaster.IsNull() && len(c.Domains) > 0 {
		return mail.Path{Local: "postmaster", Domain: c.Domains[0].Name}
	}
	return c.Postmaster
}

// An Account owns mailboxes and can log in.
type Account struct {
	Name     string // an address, in the spelling of Options.AccountName
	Password Secret // a hash, `$argon2id$…`
}

// An Endpoint is where mail goes: mailbox, mx, or a host to talk to.
type Endpoint struct {
	Scheme   string // mailbox, mx, smtp, smtps or lmtp
	Host     string // empty for mailbox and mx
	Port     uint16 // never zero where there is a host
	User     string // empty: no AUTH
	Password Secret

	// Options of a route.
	TLS      Security // empty: as relay.tls
	NoMTASTS bool     // with mx
	NoDANE   bool     // with mx
}

// Queue is how long and how often delivery is tried.
type Queue struct {
	Store       Secret        // "spool", or the URL of a Redis
	Retry       Retry         //
	RetryOn     RetryOn       //
	NextHops    []NextHop     // the first that matches counts
	WarnAfter   time.Duration // then the sender hears of the delay, once; zero: never
	ExpireAfter time.Duration // then the message is returned
	Concurrency int           // attempts at the same time, in all

	// What follows is for a queue in Redis.
	Durability   string        // strict or relaxed
	Replicas     int           // that must have a message before it is answered 250
	Contents     string        // folder that all nodes share, for what is over ContentLimit; joined to Dir; empty: none
	ContentLimit Size          //
	Node         string        // the name of this node; empty: that of the host
	Prefix       string        // of all keys in Redis
	Lease        time.Duration // then another node takes over from one that died
}

// Retry is the schedule of attempts: First, then each wait Factor times the
// one before it, up to Max.
type Retry struct {
	First  time.Duration
	Factor float64
	Max    time.Duration
}

// A Plugin is a Wasm module, or a folder of source to build one from.
type Plugin struct {
	Name   string
	Path   string // joined to Dir; it existed when the file was checked
	SHA256 string // what the module must have, in lower-case hex; empty: any
}

// OnError is the verdict of a stage that traps, or runs out of time, fuel or
// memory.
type OnError string

// The values of on_error.
const (
	OnErrorDefer      OnError = "defer"
	OnErrorSkip       OnError = "skip"
	OnErrorReject     OnError = "reject"
	OnErrorQuarantine OnError = "quarantine"
)

// Limits bound what clients can ask of the server.
type Limits struct {
	Message     Size          // one message as received
	Recipients  int           // of one transaction
	Line        Size          // of content
	Connections int           // per listener kind, in all
	PerAddress  int           // connections per client address
	Idle        time.Duration // waiting for a command
	Data        time.Duration // a whole transfer
	DataIdle    time.Duration // between octets of a transfer
	Errors      int           // bad commands before 421
	Hops        int           // Received: fields
}

// Log is what the server says of itself, on standard error.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// A Secret is a string that does not show itself in logs.
type Secret string

// String hides the secret. Use string(s) for what it is.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
