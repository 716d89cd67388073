package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// String is host:port; an IPv6 address has its brackets.
func (a Address) String() string { return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))) }

// Loopback tells whether only this machine can reach a.
func (a Address) Loopback() bool {
	if a.Host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.IsLoopback()
}

// Addr is host:port of the endpoint, with the scheme's own port if none is
// given.
func (e Endpoint) Addr() string { return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port))) }

// text is any text that is not empty.
func text(words string) scalar[string] {
	one := 1
	return scalar[string]{
		words: words, want: "a " + words, show: showText[string], schema: schema{MinLength: &one},
		parse: func(s string) (string, error) {
			if s == "" {
				return "", errors.New("is empty")
			}
			return s, nil
		},
	}
}

// hostname is a domain name that others can look up.
func hostname() scalar[string] {
	return scalar[string]{
		words: "host name", want: "a name such as mail.example.org", show: showText[string],
		schema: schema{Pattern: `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`}, parse: parseHostname,
	}
}

// parseHostname takes a name that may stand in EHLO and in Received:
// (RFC 5321 §4.1.1.1), and no address.
func parseHostname(s string) (string, error) {
	if mail.HasUTF8(s) {
		return "", &unitError{fmt.Sprintf("%q is not ASCII", quotable(s)), "write the name as DNS has it, with xn--"}
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return "", &unitError{fmt.Sprintf("%q is an address", s), "write a name such as mail.example.org"}
	}
	return parseDomain(s)
}

func parseDomain(s string) (string, error) {
	p, err := mail.ParsePath("a@" + s)
	if err != nil || s == "" || s[0] == '[' || p.Domain != s {
		return "", fmt.Errorf("%q is not a domain name", quotable(s))
	}
	return s, nil
}

// mailAddress is a mailbox with its domain.
func mailAddress() scalar[mail.Path] {
	return scalar[mail.Path]{
		words: "mail address", want: "an address such as postmaster@hamburger.edu",
		schema: schema{Pattern: `^.+@.+$`},
		parse: func(s string) (mail.Path, error) {
			p, err := mail.ParsePath(s)
			switch {
			case err != nil:
				return mail.Path{}, err
			case p.IsNull(), p.Domain == "":
				return mail.Path{}, errNoDomain
			}
			return p, nil
		},
	}
}

// path is a file or folder, relative to the file's folder.
func path(words string) scalar[string] {
	k := text(words)
	k.words, k.want = words, "the path of a "+words
	k.then = func(d *decoder, _ *yaml.Node, _ string, v *string) { *v = d.join(*v) }
	return k
}

// address is where to listen.
func address() scalar[Address] {
	return scalar[Address]{
		words: "host:port", want: "host:port, such as 127.0.0.1:2525", tags: anyTags,
		schema: schema{Pattern: `^.*:[0-9]{1,5}$`}, parse: parseAddress,
	}
}

func parseAddress(s string) (Address, error) {
	host, port, err := splitHostPort(s)
	if err != nil {
		return Address{}, err
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			return Address{}, &unitError{fmt.Sprintf("%q is not an IP address", quotable(host)),
				"write an address of this machine, localhost, or nothing before the colon for all of them"}
		}
	}
	return Address{host, port}, nil
}

func splitHostPort(s string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		if ip, ipErr := netip.ParseAddr(s); ipErr == nil && ip.Is6() {
			return "", 0, &unitError{fmt.Sprintf("%q has no port", s), fmt.Sprintf("write \"[%s]:25\"", s)}
		}
		return "", 0, fmt.Errorf("%q has no port", quotable(s))
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", 0, &unitError{fmt.Sprintf("%q is not a port", quotable(port)), "write a number up to 65535"}
	}
	return host, uint16(n), nil
}

// hostPort is a host to talk to.
func hostPort(words string) scalar[string] {
	return scalar[string]{
		words: words, want: "host:port, such as 127.0.0.1:53", tags: anyTags,
		schema: schema{Pattern: `^.+:[0-9]{1,5}$`}, show: showText[string],
		parse: func(s string) (string, error) {
			host, port, err := splitHostPort(s)
			if err == nil && (host == "" || port == 0) {
				err = fmt.Errorf("%q needs a host and a port", quotable(s))
			}
			return s, err
		},
	}
}

// network is a set of addresses.
func network() scalar[netip.Prefix] {
	return scalar[netip.Prefix]{
		words: "network", want: "a network such as 192.0.2.0/24", tags: anyTags,
		schema: schema{Pattern: `^[0-9A-Fa-f.:]+/[0-9]{1,3}$`},
		parse: func(s string) (netip.Prefix, error) {
			p, err := netip.ParsePrefix(s)
			if err != nil {
				if ip, ipErr := netip.ParseAddr(s); ipErr == nil {
					return p, &unitError{fmt.Sprintf("%q has no length", s), fmt.Sprintf("write %q", fmt.Sprintf("%s/%d", s, ip.BitLen()))}
				}
				return p, fmt.Errorf("%q is not a network", quotable(s))
			}
			if p != p.Masked() {
				return p, &unitError{fmt.Sprintf("%q has bits set after its length", s), fmt.Sprintf("write %q", p.Masked())}
			}
			return p, nil
		},
	}
}

// duration is a time span between low and high.
func duration(low, high time.Duration) scalar[time.Duration] {
	return scalar[time.Duration]{
		words: "duration", want: `a duration such as "30s"`, tags: anyTags,
		schema: schema{Pattern: `^([0-9]+(\.[0-9]+)?(us|ms|s|m|h|d))+$`},
		show:   func(v time.Duration) any { return showText(formatDuration(v)) },
		parse: func(s string) (time.Duration, error) {
			v, err := ParseDuration(s)
			return v, cmp.Or(err, between(v, low, high, s, formatDuration))
		},
	}
}

// size is a number of octets between low and high.
func size(low, high Size) scalar[Size] {
	return scalar[Size]{
		words: "size", want: `a size such as "50MiB"`, tags: anyTags,
		schema: schema{Pattern: `^[0-9]+(\.[0-9]+)?(B|KiB|MiB|GiB|kB|MB|GB)$`},
		show:   func(v Size) any { return v.String() },
		parse: func(s string) (Size, error) {
			v, err := ParseSize(s)
			return v, cmp.Or(err, between(v, low, high, s, Size.String))
		},
	}
}

// number is a whole number between low and high.
func number(low, high int) scalar[int] {
	return scalar[int]{
		words: "number", want: "a whole number", tags: []string{"!!int"},
		schema: schema{Type: "integer", Minimum: float64(low), Maximum: float64(high)},
		show:   func(v int) any { return v },
		parse: func(s string) (int, error) {
			v, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
			if err != nil {
				return 0, fmt.Errorf("%q is not a whole number", quotable(s))
			}
			return v, between(v, low, high, s, strconv.Itoa)
		},
	}
}

// count is a number between low and high that may be large: 500M.
func count[N int | uint64](low, high N) scalar[N] {
	return scalar[N]{
		words: "count", want: "a number such as 500M", tags: anyTags,
		schema: schema{Type: []string{"string", "integer"}, Pattern: `^[0-9]+(\.[0-9]+)?[kMG]?$`},
		show:   func(v N) any { return formatCount(v) },
		parse: func(s string) (N, error) {
			n, err := ParseCount(s)
			return N(n), cmp.Or(err, between(N(n), low, high, s, formatCount))
		},
	}
}

// factor is a number with a fraction.
func factor(low, high float64) scalar[float64] {
	format := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	return scalar[float64]{
		words: "number", want: "a number such as 1.5", tags: numberTags,
		schema: schema{Type: "number", Minimum: low, Maximum: high},
		show:   func(v float64) any { return v },
		parse: func(s string) (float64, error) {
			v, err := strconv.ParseFloat(s, 64)
			if err != nil || math.IsNaN(v) {
				return 0, fmt.Errorf("%q is not a number", quotable(s))
			}
			return v, between(v, low, high, s, format)
		},
	}
}

// between says that v is too small or too large.
func between[V cmp.Ordered](v, low, high V, text string, format func(V) string) error {
	switch {
	case v < low:
		return &unitError{fmt.Sprintf("%q is too small", quotable(text)), "write at least " + format(low)}
	case v > high:
		return &unitError{fmt.Sprintf("%q is too large", quotable(text)), "write at most " + format(high)}
	}
	return nil
}

// plainError is what went wrong with a file, without its name.
func plainError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("permission denied")
	}
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

func exists(path string) (fs.FileInfo, error) {
	info, err := os.Stat(filepath.Clean(path))
	if err != nil {
		return nil, plainError(err)
	}
	return info, nil
}
