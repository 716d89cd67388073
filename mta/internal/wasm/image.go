package wasm

import "os"

// An image is what a guest's linear memory was when it was ready for its first
// message. Instances begin with it, and return to it after each message. Its
// octets are in a file that exists in memory only, so that instances share
// what they do not change; where the system has no such file, they are copied.
type image struct {
	octets  []byte
	file    *os.File // nil: there is none
	pagemap *os.File // tells which pages an instance has changed; nil: not to be had
}

// copiedImage keeps a copy of the octets.
func copiedImage(octets []byte) *image {
	return &image{octets: append([]byte(nil), octets...)}
}

// release gives back what the image has. No instance may use it any more.
func (img *image) release() {
	if img == nil {
		return
	}
	img.unmap()
	for _, f := range []*os.File{img.file, img.pagemap} {
		if f != nil {
			_ = f.Close() // nothing is written
		}
	}
	img.octets, img.file, img.pagemap = nil, nil, nil
}
