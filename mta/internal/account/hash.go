package account

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The parameters of new hashes are the first choice of OWASP's Password
// Storage Cheat Sheet for argon2id: 19 MiB, two passes; some 30 ms.
const (
	hashMemory  = 19456 // KiB
	hashTime    = 2
	hashThreads = 1
	saltSize    = 16
	keySize     = 32
)

// Bounds of the parameters of hashes that come from a file: one login must
// not eat the machine.
const (
	maxMemory  = 128 << 10 // KiB
	maxTime    = 16
	maxThreads = 16
	minSalt    = 8  // RFC 9106 §3.1
	minKey     = 16 // shorter ones can be met by chance
	maxField   = 64 // octets of salt and key
)

// A phc is a hash in the PHC string format:
// `$argon2id$v=19$m=19456,t=2,p=1$SALT$KEY`, in base64 without padding.
type phc struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

var errHash = errors.New("not an argon2id hash")

// Hash returns the hash of a password, as it stands in files.
func Hash(password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	h := phc{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	rand.Read(h.salt) // never fails (crypto/rand)
	h.key = h.derive(password)
	return h.String(), nil
}

// CheckHash tells what is wrong with a hash, if anything is.
func CheckHash(hash string) error {
	_, err := parseHash(hash)
	return err
}

// Verify tells whether hash is that of password. It takes memory and time, by
// design; [Directory.Authenticate] bounds how often that is done at once.
func Verify(hash, password string) bool {
	h, err := parseHash(hash)
	return err == nil && h.verify(password)
}

// DemoPassword is that of the accounts of the default pipeline file.
const DemoPassword = "ketchup"

// IsDemo tells whether a hash is that of the demo password.
func IsDemo(hash string) bool { return Verify(hash, DemoPassword) }

func (h phc) derive(password string) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.key)))
}

func (h phc) verify(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password), h.key) == 1
}

func (h phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.memory, h.time, h.threads, b64.EncodeToString(h.salt), b64.EncodeToString(h.key))
}

func parseHash(hash string) (phc, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return phc{}, errHash
	}
	if parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return phc{}, fmt.Errorf("%w: its version is not %d", errHash, argon2.Version)
	}
	var h phc
	if err := h.parseCost(parts[3]); err != nil {
		return phc{}, err
	}
	var err1, err2 error
	h.salt, err1 = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	h.key, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	switch {
	case err1 != nil || err2 != nil:
		return phc{}, fmt.Errorf("%w: bad base64", errHash)
	case len(h.salt) < minSalt || len(h.salt) > maxField:
		return phc{}, fmt.Errorf("%w: salt has not %d to %d octets", errHash, minSalt, maxField)
	case len(h.key) < minKey || len(h.key) > maxField:
		return phc{}, fmt.Errorf("%w: key has not %d to %d octets", errHash, minKey, maxField)
	}
	return h, nil
}

// parseCost reads `m=19456,t=2,p=1`.
func (h *phc) parseCost(s string) error {
	fields := strings.Split(s, ",")
	if len(fields) != 3 {
		return fmt.Errorf("%w: bad parameters", errHash)
	}
	var v [3]uint32
	for i, f := range []struct {
		name     string
		min, max uint64
	}{{"m=", 8, maxMemory}, {"t=", 1, maxTime}, {"p=", 1, maxThreads}} {
		text, ok := strings.CutPrefix(fields[i], f.name)
		n, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil {
			return fmt.Errorf("%w: bad parameters", errHash)
		}
		if n < f.min || n > f.max {
			return fmt.Errorf("%w: %s is not %d to %d", errHash, f.name[:1], f.min, f.max)
		}
		v[i] = uint32(n)
	}
	h.memory, h.time, h.threads = v[0], v[1], uint8(v[2])
	return nil
}
