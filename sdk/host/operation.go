package host

import (
	"bytes"
	"net/mail"
	"strings"

	"golang.org/x/net/idna"

	"github.com/wasmta/wasmta/sdk/abi"
)

// An operation is what call can do beside the functions: octets in, octets
// out. It grows without a new version of the ABI; names are those of a domain,
// from the top, whose owner defines them.
type operation struct {
	access abi.Access
	do     func(c *Call, in []byte) ([]byte, abi.Errno)
}

var operations = map[string]operation{
	"org.wasmta.address.normalize": {abi.AccessAny, (*Call).normalize},
	"org.wasmta.header.addresses":  {abi.AccessAny, fieldAddresses},
	"org.wasmta.idna.to_ascii":     {abi.AccessAny, toASCII},
}

// Has is has: 1 if there is a function or operation of that name, for this
// plugin.
func (c *Call) Has(name string) int32 {
	f, ok := abi.Lookup(name)
	access := f.Access
	if !ok {
		var op operation
		op, ok = operations[name]
		access = op.access
	}
	if ok && c.in.Grants.Lacks(access.Grant) == 0 {
		return 1
	}
	return 0
}

// Call is call. An operation that is not known is [abi.Unsupported].
func (c *Call) Call(op string, in []byte) ([]byte, abi.Errno) {
	o, ok := operations[op]
	if !ok {
		return nil, abi.Unsupported
	}
	if e := c.may(o.access); e != abi.OK {
		return nil, e
	}
	if len(in) > c.limits.OperationOctets {
		return nil, abi.Limit
	}
	return o.do(c, in)
}

// normalize is org.wasmta.address.normalize: an address as the server writes
// it, quoted where it must be and without a source route. What is none is
// [abi.BadArg].
func (c *Call) normalize(in []byte) ([]byte, abi.Errno) {
	address, e := c.path(string(in))
	return []byte(address), e
}

// toASCII is org.wasmta.idna.to_ascii: a domain as the DNS has it, in lower case
// and with A-labels (RFC 5891 §5). What cannot be one is [abi.BadArg].
func toASCII(_ *Call, in []byte) ([]byte, abi.Errno) {
	name, err := idna.Lookup.ToASCII(string(in))
	if err != nil || !isDomainName(name) {
		return nil, abi.BadArg
	}
	return []byte(name), abi.OK
}

// fieldAddresses is org.wasmta.header.addresses: the addresses in the value of a
// field such as To: (RFC 5322 §3.4), one a line, without names and comments,
// and of groups their members. What cannot be read is [abi.BadArg].
func fieldAddresses(_ *Call, in []byte) ([]byte, abi.Errno) {
	value := strings.NewReplacer("\r\n", "", "\n", "").Replace(string(in))
	list, err := mail.ParseAddressList(value)
	if err != nil {
		return nil, abi.BadArg
	}
	var out []byte
	for _, a := range list {
		if hasControl(a.Address) {
			return nil, abi.BadArg
		}
		out = append(append(out, a.Address...), '\n')
	}
	return bytes.TrimSuffix(out, []byte("\n")), abi.OK
}
