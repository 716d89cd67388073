package sts

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Mode says what a sender has to do when a host does not keep to the policy.
type Mode string

// The modes (RFC 8461 §5).
const (
	Enforce Mode = "enforce" // not to deliver there
	Testing Mode = "testing" // to deliver, and to report it
	None    Mode = "none"    // nothing: the domain wants no policy any more
)

// maxAge bounds what a policy asks for (RFC 8461 §3.2).
const maxAge = 31557600 // seconds

// maxMX bounds the patterns of a policy that are kept.
const maxMX = 200

// A Policy is what a domain says of its mail hosts (RFC 8461 §3.2).
type Policy struct {
	Domain  string        `json:"domain"`
	ID      string        `json:"id"` // that its TXT record had
	Mode    Mode          `json:"mode"`
	MX      []string      `json:"mx,omitempty"` // lower case; "*.crepes.fr" for one label below it
	MaxAge  time.Duration `json:"max_age"`
	Fetched time.Time     `json:"fetched"`
	Used    time.Time     `json:"used"` // to the day
}

// Expired tells whether the policy means nothing any more.
func (p *Policy) Expired(now time.Time) bool { return !now.Before(p.Fetched.Add(p.MaxAge)) }

// Matches tells whether host is one that the policy names (RFC 8461 §4.1).
func (p *Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	_, below, _ := strings.Cut(host, ".")
	for _, mx := range p.MX {
		if suffix, wild := strings.CutPrefix(mx, "*."); wild && below == suffix || !wild && host == mx {
			return true
		}
	}
	return false
}

// parsePolicy reads the file of RFC 8461 §3.2. Of a field that comes twice the
// first counts, but for mx; unknown fields are passed over.
func parsePolicy(text string) (*Policy, error) {
	p := &Policy{}
	fields := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, errors.New("a line without a colon")
		}
		value = strings.Trim(value, " \t")
		if name == "mx" && len(p.MX) < maxMX {
			mx := strings.ToLower(strings.TrimSuffix(value, "."))
			if !validDomain(strings.TrimPrefix(mx, "*.")) {
				return nil, fmt.Errorf("mx %.80q is no host", value)
			}
			p.MX = append(p.MX, mx)
		} else if _, twice := fields[name]; !twice {
			fields[name] = value
		}
	}
	if fields["version"] != "STSv1" {
		return nil, fmt.Errorf("version %.80q", fields["version"])
	}
	p.Mode = Mode(fields["mode"])
	if p.Mode != Enforce && p.Mode != Testing && p.Mode != None {
		return nil, fmt.Errorf("mode %.80q", fields["mode"])
	}
	seconds, err := strconv.ParseUint(fields["max_age"], 10, 34) // ten digits at most
	if err != nil {
		return nil, fmt.Errorf("max_age %.80q", fields["max_age"])
	}
	p.MaxAge = time.Duration(min(seconds, maxAge)) * time.Second
	if p.Mode != None && len(p.MX) == 0 {
		return nil, errors.New("no mx")
	}
	return p, nil
}

// parseRecords returns the ID in the one TXT record that is about MTA-STS. None
// or more than one means that there is no policy (RFC 8461 §3.1).
func parseRecords(texts []string) (id string, ok bool) {
	found := 0
	for _, text := range texts {
		version, rest, _ := strings.Cut(text, ";")
		if strings.TrimRight(version, " \t") != "v=STSv1" {
			continue
		}
		found++
		for field := range strings.SplitSeq(rest, ";") {
			if value, is := strings.CutPrefix(strings.Trim(field, " \t"), "id="); is && id == "" {
				id = value
			}
		}
	}
	return id, found == 1 && validID(id)
}

func validID(id string) bool {
	for i := range len(id) {
		if c := id[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return id != "" && len(id) <= 32
}

// validDomain tells whether name, in lower case, is a domain in ASCII. It may
// name a file then.
func validDomain(name string) bool {
	if len(name) > 253 || !strings.Contains(name, ".") {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
