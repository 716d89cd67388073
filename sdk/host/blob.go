package host

import (
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

// BlobNew is blob_new: an empty blob of this call. Handles are above zero.
func (c *Call) BlobNew() int32 {
	if e := c.may(abi.AccessBlob); e != abi.OK {
		return int32(e)
	}
	if len(c.blobs) >= c.limits.Blobs {
		return int32(abi.Limit)
	}
	c.blobs = append(c.blobs, nil)
	return int32(len(c.blobs))
}

// BlobWrite is blob_write: it appends octets, which it copies.
func (c *Call) BlobWrite(blob int32, octets []byte) abi.Errno {
	if e := c.may(abi.AccessBlob); e != abi.OK {
		return e
	}
	if blob < 1 || int(blob) > len(c.blobs) {
		return abi.NotFound
	}
	if c.blobOctets+len(octets) > c.limits.BlobOctets {
		return abi.Limit
	}
	if grown := len(c.blobs[blob-1]) + len(octets); grown > cap(c.blobs[blob-1]) && !c.hasTime(grown) {
		return abi.Timeout
	}
	c.blobOctets += len(octets)
	c.blobs[blob-1] = append(c.blobs[blob-1], octets...)
	return abi.OK
}

// blob is what was written. Later writes do not change it, as they go behind
// it; who appends to it does so to a copy, as its capacity is cut.
func (c *Call) blob(handle int32) ([]byte, abi.Errno) {
	if handle < 1 || int(handle) > len(c.blobs) {
		return nil, abi.NotFound
	}
	b := c.blobs[handle-1]
	return b[:len(b):len(b)], abi.OK
}

// What handling octets in one piece takes at most: measured 1.1 ns each, where
// they are encoded. Up to a mebibyte nobody waits for.
const (
	perOctet = 2 * time.Nanosecond
	quick    = 1 << 20
)

// hasTime tells whether what is left of the call's time does for handling so
// many octets in one piece, in which nobody can stop it.
func (c *Call) hasTime(octets int) bool {
	if octets <= quick || c.in.Ctx == nil {
		return true
	}
	deadline, ok := c.in.Ctx.Deadline()
	return !ok || time.Until(deadline) > time.Duration(octets)*perOctet
}
