package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"math"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Bounds of logging in.
const (
	maxLogin    = 320  // octets: an address (RFC 5321 §4.5.3.1)
	maxPassword = 1024 // octets; longer ones only cost time

	// Failures are forgotten by half in this time.
	halfLife = 10 * time.Minute
	// So many failures cost nothing: people mistype, and many people may share
	// an address behind NAT.
	freePerAccount = 3
	freePerAddress = 10
	// Then each attempt waits first, twice as long after each failure. What an
	// account costs is bounded low, since its owner has to wait as well when
	// others guess.
	firstDelay      = 500 * time.Millisecond
	maxAccountDelay = 4 * time.Second
	maxAddressDelay = 15 * time.Second
	// An address with so many failures is not asked again until they are
	// forgotten by and by.
	refusedFailures = 50
	// So many attempts of one suspicious address may wait at the same time.
	maxWaiting = 5

	trackedAccounts  = 10_000
	trackedAddresses = 10_000

	// verifiedFor is how long a password that was right is known without
	// argon2. POP3 clients come every few minutes.
	verifiedFor  = 10 * time.Minute
	verifiedKept = 10_000
)

// A Guard is what all logins share: failures, the passwords that were right
// lately, and how many hashes are computed at the same time. It outlives
// reloads. Make it with [NewGuard]. Safe for concurrent use.
//
// A password that was right is kept as HMAC-SHA-256 of the account's hash and
// the password, under a random key of this process. Who can read the memory of
// the process could guess passwords against it faster than against argon2; but
// the same memory has the passwords themselves when they arrive. Nothing of it
// is ever written. An account that is removed or has another hash does not get
// in by it, since the account is looked up first and its hash is part of what
// is compared. Delays come before the comparison, so that guessing is as slow
// as without.
type Guard struct {
	key   [32]byte
	slots chan struct{} // one for each hash being computed
	decoy phc           // what unknown accounts are compared with

	mu        sync.Mutex // guards what follows
	accounts  *lru[string, failures]
	addresses *lru[netip.Prefix, failures]
	verified  *lru[string, verified]
}

type verified struct {
	mac   [sha256.Size]byte
	until time.Time
}

// failures are those of one account or address. While it is suspicious, the
// attempts under way count too, so that many at once are not cheaper.
type failures struct {
	score   float64
	at      time.Time
	waiting int
}

// NewGuard returns a Guard without failures. As many hashes are computed at
// once as there are processors: memory is bounded to 128 MiB for each
// (maxMemory), and 19 MiB for hashes of ours.
func NewGuard() *Guard {
	g := &Guard{
		slots:     make(chan struct{}, runtime.GOMAXPROCS(0)),
		decoy:     phc{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltSize), key: make([]byte, keySize)},
		accounts:  newLRU[string, failures](trackedAccounts),
		addresses: newLRU[netip.Prefix, failures](trackedAddresses),
		verified:  newLRU[string, verified](verifiedKept),
	}
	rand.Read(g.key[:]) // never fails (crypto/rand)
	rand.Read(g.decoy.salt)
	rand.Read(g.decoy.key)
	return g
}

// verify compares a password with a hash, or with none in the same time. It
// waits for its turn until ctx ends.
func (g *Guard) verify(ctx context.Context, hash, password string) (bool, error) {
	h, err := parseHash(hash)
	known := err == nil
	if !known {
		h = g.decoy
	}
	select {
	case g.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-g.slots }()
	return h.verify(password) && known, nil
}

func (g *Guard) mac(hash, password string) (sum [sha256.Size]byte) {
	m := hmac.New(sha256.New, g.key[:])
	m.Write([]byte(hash + "\x00" + password)) // a hash has no NUL
	m.Sum(sum[:0])
	return sum
}

// wasRight tells whether this password of the account was right lately.
func (g *Guard) wasRight(a Account, password string) bool {
	mac := g.mac(a.Hash, password)
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.verified.get(a.Name)
	if ok && !time.Now().Before(v.until) {
		g.verified.remove(a.Name)
		return false
	}
	return ok && hmac.Equal(v.mac[:], mac[:])
}

func (g *Guard) remember(a Account, password string) {
	v := verified{g.mac(a.Hash, password), time.Now().Add(verifiedFor)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.verified.put(a.Name, v)
}

// An attempt is one login under way.
type attempt struct {
	guard   *Guard
	account string
	address netip.Prefix
	counted bool // in failures.waiting of its address
}

// begin tells how long the attempt has to wait before its password is looked
// at; ok is false when it is refused.
func (g *Guard) begin(account string, client netip.Addr) (a *attempt, delay time.Duration, ok bool) {
	a = &attempt{guard: g, account: account, address: addressKey(client)}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	ofAccount, _ := g.accounts.get(account)
	ofAddress, _ := g.addresses.get(a.address)
	ofAccount.fade(now)
	ofAddress.fade(now)
	suspicious := ofAddress.score >= freePerAddress
	switch {
	case ofAddress.score >= refusedFailures, suspicious && ofAddress.waiting >= maxWaiting:
		return nil, 0, false
	case suspicious:
		ofAddress.waiting++
		a.counted = true
		g.addresses.put(a.address, ofAddress)
	}
	delay = max(
		delayFor(ofAccount.score-freePerAccount, maxAccountDelay),
		delayFor(ofAddress.score+float64(ofAddress.waiting)-freePerAddress, maxAddressDelay),
	)
	return a, delay, true
}

func delayFor(over float64, most time.Duration) time.Duration {
	if over < 0 {
		return 0
	}
	return time.Duration(min(float64(firstDelay)*math.Exp2(math.Floor(min(over, 30))), float64(most)))
}

// end counts a failed attempt.
func (a *attempt) end(failed bool) {
	g, now := a.guard, time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !failed && !a.counted {
		return
	}
	f, _ := g.addresses.get(a.address)
	f.fade(now)
	if a.counted {
		f.waiting = max(f.waiting-1, 0)
	}
	if failed {
		f.score++
		of, _ := g.accounts.get(a.account)
		of.fade(now)
		of.score++
		g.accounts.put(a.account, of)
	}
	g.addresses.put(a.address, f)
}

// fade forgets failures as time goes by.
func (f *failures) fade(now time.Time) {
	if f.score > 0 {
		f.score *= math.Exp2(-float64(now.Sub(f.at)) / float64(halfLife))
	}
	f.at = now
}

// addressKey is what failures are counted by: an IPv4 address, or the /64 that
// a client of IPv6 has to itself. The zero Prefix stands for all others.
func addressKey(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	key, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return key
}
