package config

import (
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	day     = 24 * time.Hour
	forever = 365 * day // longer than this is a mistake
)

// file is the table of every key of pipeline.yaml.
func file() object[Config] {
	return object[Config]{keys: []key[Config]{
		required(field("hostname", hostname(), func(c *Config) *string { return &c.Hostname },
			"The name of this server: in the greeting, in `Received:` and in notifications.")),
		field("state", path("folder"), func(c *Config) *string { return &c.State },
			"Folder of everything the server writes: queue, mailboxes, accounts, caches, the admin socket."),
		field("listen", listenKeys(), func(c *Config) *Listen { return &c.Listen },
			"Where to listen, by protocol. Leave out what is not served."),
		field("tls", tlsKeys(), func(c *Config) *TLS { return &c.TLS },
			"The server's certificate. With it, STARTTLS and STLS are offered, and the listeners that begin with TLS can be used."),
		field("domains", domains(), func(c *Config) *[]Domain { return &c.Domains },
			"The domains that mail is delivered for here."),
		field("postmaster", mailAddress(), func(c *Config) *mail.Path { return &c.Postmaster },
			"Who gets what can be returned to nobody: notifications, and other messages with the null reverse-path, that cannot be delivered. Left out: `postmaster` at the first of `domains`; where there is none they are held in the queue."),
		field("accounts", accounts(), func(c *Config) *[]Account { return &c.Accounts },
			"Who can log in and has mailboxes, besides those of `mta account`."),
		field("relay", relayKeys(), func(c *Config) *Relay { return &c.Relay },
			"Mail for other domains: who may send it on, and where it goes."),
		field("queue", queueKeys(), func(c *Config) *Queue { return &c.Queue },
			"How accepted mail is kept and how often delivery is tried."),
		field("plugins", plugins(), func(c *Config) *[]Plugin { return &c.Plugins },
			"The plugins that stages can name: a `.wasm` file, or a folder with a plugin's source, which is built on first use and after each change."),
		field("pipeline", list[Stage]{elem: stageKeys(), empty: defaultStage}, func(c *Config) *[]Stage { return &c.Pipeline },
			"The stages every message passes, in this order. Each sees what the one before it left."),
		field("admin", adminKeys(), func(c *Config) *Admin { return &c.Admin },
			"Who may operate the server from elsewhere. On this machine the admin socket lets in the server's user."),
		field("limits", limitKeys(), func(c *Config) *Limits { return &c.Limits },
			"What clients can ask of the server."),
		field("log", logKeys(), func(c *Config) *Log { return &c.Log },
			"What the server says of itself, on standard error."),
		field("tests", list[Test]{elem: testKeys(), empty: defaultTest}, func(c *Config) *[]Test { return &c.Tests },
			"Messages with what should become of them, for `mta test`."),
	}}
}

func listenKeys() object[Listen] {
	// What cannot be decoded has its finding; it shall not get another one for
	// being open to the world.
	harmless := func() Address { return Address{Host: "localhost"} }
	at := func(name string, of func(*Listen) *[]Address, doc string) key[Listen] {
		return field(name, list[Address]{elem: address(), empty: harmless}, of, doc)
	}
	return object[Listen]{keys: []key[Listen]{
		at("smtp", func(l *Listen) *[]Address { return &l.SMTP }, "SMTP from other MTAs."),
		at("submission", func(l *Listen) *[]Address { return &l.Submission }, "SMTP from users (RFC 6409). AUTH is needed."),
		at("submissions", func(l *Listen) *[]Address { return &l.Submissions }, "The same over TLS from the first octet (RFC 8314)."),
		at("lmtp", func(l *Listen) *[]Address { return &l.LMTP }, "LMTP from another MTA (RFC 2033)."),
		notBuilt[Listen]("milter", "Postfix or Sendmail run this pipeline inside their own sessions."),
		at("pop3", func(l *Listen) *[]Address { return &l.POP3 }, "POP3 (RFC 1939)."),
		at("pop3s", func(l *Listen) *[]Address { return &l.POP3S }, "POP3 over TLS from the first octet."),
		at("imap", func(l *Listen) *[]Address { return &l.IMAP }, "IMAP (RFC 9051, RFC 3501)."),
		at("imaps", func(l *Listen) *[]Address { return &l.IMAPS }, "IMAP over TLS from the first octet."),
		at("http", func(l *Listen) *[]Address { return &l.HTTP }, "Status page, `/healthz`, `/metrics`, and for those with a token of `admin.tokens` the API."),
	}}
}

func tlsKeys() object[TLS] {
	return object[TLS]{then: checkTLS, keys: []key[TLS]{
		field("cert", path("PEM file"), func(t *TLS) *string { return &t.Cert }, "File with the certificate and its chain."),
		field("key", path("PEM file"), func(t *TLS) *string { return &t.Key }, "File with the private key."),
		notBuilt[TLS]("acme", "Certificates from an ACME server."),
	}}
}

func domains() dict[Domain] {
	deliver := endpoint("mailbox, lmtp://host:port or smtp://host:port", []string{"mailbox"}, []string{"lmtp", "smtp"})
	return dict[Domain]{
		what: "a domain", want: "a name such as hamburger.edu",
		name: func(_ *Options, key string) (Domain, string, error) {
			d := defaultDomain()
			d.Name = strings.ToLower(key)
			_, err := parseDomain(key)
			return d, d.Name, hideText(err)
		},
		elem: object[Domain]{keys: []key[Domain]{
			field("deliver", deliver, func(d *Domain) *Endpoint { return &d.Deliver },
				"Where its mail goes: `mailbox` (here), or another server by LMTP or SMTP."),
			field("postmaster", mailAddress(), func(d *Domain) *mail.Path { return &d.Postmaster },
				"The account that gets the mail for `postmaster` of this domain, unless that is an account itself. Left out: the first account of the domain."),
		}},
	}
}

func accounts() dict[Account] {
	password := scalar[Secret]{
		words: "password hash", want: "a hash that begins with $argon2id$", fill: asIs,
		schema: schema{Pattern: `^(\$argon2id\$|\$\{|file:).+$`}, parse: parseHash, then: checkPassword,
	}
	return dict[Account]{
		what: "an address", want: "an address such as bob@hamburger.edu",
		name: accountName,
		elem: object[Account]{keys: []key[Account]{
			required(field("password", password, func(a *Account) *Secret { return &a.Password },
				"The password's argon2id hash.")),
		}},
	}
}

func queueKeys() object[Queue] {
	retry := object[Retry]{then: checkRetry, keys: []key[Retry]{
		field("first", duration(time.Second, 7*day), func(r *Retry) *time.Duration { return &r.First }, "Wait after the first attempt."),
		field("factor", factor(1, 100), func(r *Retry) *float64 { return &r.Factor }, "By how much each wait is longer than the one before it."),
		field("max", duration(time.Second, 7*day), func(r *Retry) *time.Duration { return &r.Max }, "The longest wait."),
	}}
	return object[Queue]{then: checkQueue, keys: []key[Queue]{
		field("store", store(), func(q *Queue) *Secret { return &q.Store }, "Where the queue is kept: `spool`, embedded, below the state folder; or in a Redis that several nodes may share: `redis://user:password@host:port/0`, `unix:///run/redis.sock?db=0`, `redis+sentinel://h1:26379,h2:26379/MASTER/0`, `redis+cluster://h1:7000,h2:7001`, and the same with `rediss` for TLS. While Redis is away the spool takes its place."),
		field("retry", retry, func(q *Queue) *Retry { return &q.Retry }, "When a deferred message is tried again."),
		field("retry_on", retryOnKeys(), func(q *Queue) *RetryOn { return &q.RetryOn }, "The same by why it was deferred. What is left out is as in `queue.retry`."),
		field("next_hops", nextHops(), func(q *Queue) *[]NextHop { return &q.NextHops }, "What is different for some next hops; the first that matches. A mail domain or a host, `*.domain` for what lies below it, or `*`. On several nodes with one queue the limits hold for all of them together."),
		field("warn_after", duration(0, forever), func(q *Queue) *time.Duration { return &q.WarnAfter }, "When the sender hears that the message is delayed; `0s` is never."),
		field("expire_after", duration(time.Minute, forever), func(q *Queue) *time.Duration { return &q.ExpireAfter }, "When the message is returned to its sender."),
		field("concurrency", number(1, 10000), func(q *Queue) *int { return &q.Concurrency }, "Attempts at the same time, in all."),
		field("durability", enum("strict", "relaxed"), func(q *Queue) *string { return &q.Durability }, "With `strict`, a Redis that its settings would let lose acknowledged mail is refused; `relaxed` only warns. It needs `appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction`."),
		field("replicas", number(0, 10), func(q *Queue) *int { return &q.Replicas }, "Replicas of Redis that must have a message before it is answered 250."),
		field("contents", path("folder"), func(q *Queue) *string { return &q.Contents }, "Folder that all nodes share, for contents over `content_limit`. Left out: all contents are in Redis."),
		field("content_limit", size(1<<10, 512<<20), func(q *Queue) *Size { return &q.ContentLimit }, "The largest content that is kept in Redis if there is a folder for others."),
		field("node", plainName("name"), func(q *Queue) *string { return &q.Node }, "The name of this node, which no other node has. Left out: the host's."),
		field("prefix", plainName("name"), func(q *Queue) *string { return &q.Prefix }, "What the names of all keys in Redis begin with: two queues in one Redis have two."),
		field("lease", duration(10*time.Second, time.Hour), func(q *Queue) *time.Duration { return &q.Lease }, "After that long without a sign of life another node takes over what a node was attempting."),
	}}
}

func limitKeys() object[Limits] {
	return object[Limits]{keys: []key[Limits]{
		field("message", size(1<<10, 2<<30), func(l *Limits) *Size { return &l.Message }, "One message, as received (RFC 1870)."),
		field("recipients", number(1, 100000), func(l *Limits) *int { return &l.Recipients }, "Recipients of one transaction; RFC 5321 §4.5.3.1.8 asks for 100 at least."),
		field("line", size(1000, 1<<30), func(l *Limits) *Size { return &l.Line }, "One line of content; 1000 octets at least (RFC 5321 §4.5.3.1.6)."),
		field("connections", number(1, 1000000), func(l *Limits) *int { return &l.Connections }, "Connections to all listeners of one protocol."),
		field("per_address", number(1, 1000000), func(l *Limits) *int { return &l.PerAddress }, "Connections of one client address; those of `relay.allow` are exempt."),
		field("idle", duration(time.Second, day), func(l *Limits) *time.Duration { return &l.Idle }, "Waiting for a command (RFC 5321 §4.5.3.2.7)."),
		field("data", duration(time.Second, day), func(l *Limits) *time.Duration { return &l.Data }, "The transfer of one message."),
		field("data_idle", duration(time.Second, day), func(l *Limits) *time.Duration { return &l.DataIdle }, "Between two parts of that transfer (RFC 5321 §4.5.3.2.5)."),
		field("errors", number(1, 100000), func(l *Limits) *int { return &l.Errors }, "Bad commands of one session before it is closed with 421."),
		field("hops", number(1, 1000), func(l *Limits) *int { return &l.Hops }, "`Received:` fields before a message counts as looping (RFC 5321 §6.3)."),
	}}
}

func logKeys() object[Log] {
	return object[Log]{keys: []key[Log]{
		field("level", enum("debug", "info", "warn", "error"), func(l *Log) *string { return &l.Level }, "The least that is worth a line."),
		field("format", enum("text", "json"), func(l *Log) *string { return &l.Format }, "How a line looks."),
	}}
}
