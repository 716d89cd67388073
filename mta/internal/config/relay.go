package config

import (
	"net/netip"
	"strings"
	"time"
)

// Relay says where mail for other domains goes, whose mail, and how.
type Relay struct {
	Allow       []netip.Prefix // clients that may relay without AUTH
	Routes      []Route        // the first that matches decides
	TLS         Security       // where a route does not say
	MTASTS      string         // enforce, testing or off
	DANE        string         // auto, on or off
	IP          string         // any, ipv4, ipv6, ipv4-only or ipv6-only
	VERP        []string       // addresses and domains, in lower case
	Timeout     time.Duration  // for connecting and for each command
	FinalReply  time.Duration  // for the reply to the end of a message
	Connections int            // to all next hops
	DNS         string         // resolver as host:port; empty: the system's
	Concurrency int            // attempts at one next hop at the same time
}

// A Route is the next hop of some domains.
type Route struct {
	Domain string   // "crepes.fr"; "*.crepes.fr" for what lies below it; "*" for every domain
	To     Endpoint // Scheme mx, smtp, smtps or lmtp
}

func relayKeys() object[Relay] {
	return object[Relay]{keys: []key[Relay]{
		field("allow", list[netip.Prefix]{elem: network()}, func(r *Relay) *[]netip.Prefix { return &r.Allow },
			"Clients that may send to other domains without AUTH. They are exempt from `limits.per_address`."),
		field("routes", dict[Route]{what: "a domain", want: "crepes.fr, *.crepes.fr or *", name: routeName, elem: part(hop(), func(r *Route) *Endpoint { return &r.To }), def: showRoutes},
			func(r *Relay) *[]Route { return &r.Routes },
			"The next hop by domain; the first that matches. A domain, `*.domain` for what lies below it, or `*`. The value is `mx`, or `smtp://`, `smtps://` or `lmtp://` with an optional `user:password@`, a host and a port (left out: 25; 587 with a user; 465 for `smtps`). "+
				"Options follow a question mark: `tls=` as in `relay.tls`, and with `mx` `mta_sts=off` and `dane=off`."),
		field("tls", enum(SecurityOpportunistic, SecurityRequired, SecurityVerified, SecurityNone), func(r *Relay) *Security { return &r.TLS },
			"TLS with next hops whose route does not say: where they offer it; or not without it, by anyone (`required`) or with a certificate for the host (`verified`); or never. DANE and MTA-STS go before it. A next hop with a user gets `verified`, LMTP none."),
		field("mta_sts", enum("enforce", "testing", "off"), func(r *Relay) *string { return &r.MTASTS },
			"Policies of domains that want verified TLS (RFC 8461): kept to; or only counted when they are not met; or not asked for."),
		field("dane", enum("auto", "on", "off"), func(r *Relay) *string { return &r.DANE },
			"TLSA records of mail hosts (RFC 7672). They need a DNS server that validates: `auto` believes one on loopback, `on` believes any."),
		field("ip", enum("any", "ipv4", "ipv6", "ipv4-only", "ipv6-only"), func(r *Relay) *string { return &r.IP },
			"Which addresses of a host come first, or alone. The families take turns; the second is tried beside the first after a second."),
		field("verp", list[string]{elem: sender()}, func(r *Relay) *[]string { return &r.VERP },
			"Reverse-paths, as addresses or domains, that are made to name the recipient: `list@crepes.fr` becomes `list+bob=hamburger.edu@crepes.fr`, and each recipient gets a transaction of his own."),
		field("timeout", duration(time.Second, time.Hour), func(r *Relay) *time.Duration { return &r.Timeout },
			"For connecting to a next hop, and for each of its replies but the last."),
		field("final_timeout", duration(time.Second, time.Hour), func(r *Relay) *time.Duration { return &r.FinalReply },
			"For the reply to the end of a message. A next hop that takes longer over a message may have it and gets it again, so patience is cheap here."),
		field("concurrency", number(1, 1000), func(r *Relay) *int { return &r.Concurrency },
			"Attempts at one next hop at the same time, at most: there are few at first, more with each success, fewer when it has too much to do. `queue.next_hops` has others for some."),
		field("connections", number(1, 100000), func(r *Relay) *int { return &r.Connections },
			"Connections to all next hops together, in use and waiting for the next message; each is a file handle."),
		field("dns", hostPort("resolver"), func(r *Relay) *string { return &r.DNS },
			"The DNS server to ask, as host:port. Left out: what the system is set to."),
	}}
}

// sender is an address or a domain.
func sender() scalar[string] {
	return scalar[string]{
		words: "mail address or domain", want: "an address such as list@crepes.fr, or a domain",
		schema: schema{Pattern: `^.+$`}, show: showText[string],
		parse: func(s string) (string, error) {
			if strings.Contains(s, "@") {
				_, err := mailAddress().parse(s)
				return strings.ToLower(s), err
			}
			_, err := parseDomain(s)
			return strings.ToLower(s), err
		},
	}
}
