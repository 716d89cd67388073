package abi

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"
)

// A Grant is what an operator lets a plugin do, or several of them at once.
// Zero is what every plugin may: read its configuration, log, look at the
// session, leave notes, count, and answer.
type Grant uint16

const (
	GrantHeaders  Grant = 1 << iota // read and edit header fields
	GrantBody                       // read and edit the MIME tree and its content
	GrantEnvelope                   // read and edit the reverse-path and the recipients
	GrantRoute                      // say where mail goes, and when
	GrantSend                       // originate messages
	GrantKV                         // keep keys and values
	GrantDNS                        // look up names
	GrantClock                      // the time
	GrantRandom                     // random octets
	GrantFolders                    // read files; of WASI, no function of the ABI needs it

	// AllGrants are all there are.
	AllGrants = GrantFolders<<1 - 1

	// DefaultGrants are those of a stage that says nothing: all that ends with
	// the message.
	DefaultGrants = GrantHeaders | GrantBody | GrantEnvelope | GrantRoute | GrantClock | GrantRandom
)

var grantNames = [...]string{
	"headers", "body", "envelope", "route", "send", "kv", "dns", "clock", "random", "folders",
}

// ParseGrants reads the words of a list.
func ParseGrants(words ...string) (Grant, error) {
	var all Grant
	for _, word := range words {
		g, ok := parseGrant(word)
		if !ok {
			return 0, errors.New("unknown grant " + strconv.Quote(word) + "; known are " + AllGrants.String())
		}
		all |= g
	}
	return all, nil
}

func parseGrant(word string) (Grant, bool) {
	for i, name := range grantNames {
		if name == word {
			return 1 << i, true
		}
	}
	return 0, false
}

// Words are the names of the grants in g, in the order of the constants.
func (g Grant) Words() []string {
	words := make([]string, 0, bits.OnesCount16(uint16(g)))
	for i, name := range grantNames {
		if g&(1<<i) != 0 {
			words = append(words, name)
		}
	}
	return words
}

// String is "headers, body"; no grant is "none".
func (g Grant) String() string {
	if g == 0 {
		return "none"
	}
	return strings.Join(g.Words(), ", ")
}

// Lacks are the grants of need that are not in g.
func (g Grant) Lacks(need Grant) Grant { return need &^ g }
