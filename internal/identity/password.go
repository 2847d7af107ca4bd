package identity

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"jackfield"
)

// What a password may be. Every byte counts as it is.
const (
	MinPassword = 8    // bytes
	MaxPassword = 1024 // bytes
)

// costs are the parameters of argon2id (RFC 9106, section 3.1).
type costs struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// defaultCosts are those of the OWASP Password Storage Cheat Sheet for argon2id with two passes. RFC 9106, section 4, would have
// 64 MiB and four threads: on a gateway of two cores, a login would then take both from the sessions that are relayed.
// Two computations at once, the most there are, need 38 MiB and leave cores to others.
var defaultCosts = costs{memory: 19 << 10, passes: 2, threads: 1}

// The largest costs that are accepted, from whoever wrote the configuration file.
const (
	maxMemory  = 256 << 10 // KiB
	maxPasses  = 16
	maxThreads = 16
)

const (
	saltSize   = 16 // bytes; RFC 9106, section 3.1, recommends it
	keySize    = 32 // bytes
	minSalt    = 8  // bytes, of a hash that others made
	minKey     = 16
	maxField   = 64
	maxPHCSize = 256 // bytes, of the text form
)

// A PasswordHash is what is kept of a password. Its zero value is no password, and fits none. However it is printed or logged,
// its contents do not show; PHC returns them.
type PasswordHash struct {
	costs costs
	salt  string
	key   string
}

// NewPasswordHash hashes a password of MinPassword to MaxPassword bytes with argon2id, for the configuration file.
func NewPasswordHash(password string) (PasswordHash, error) {
	if err := checkPassword(password); err != nil {
		return PasswordHash{}, err
	}
	return hashPassword(password, defaultCosts), nil
}

func checkPassword(password string) error {
	switch {
	case len(password) < MinPassword:
		return refuse(jackfield.Invalid, fmt.Sprintf("a password has %d characters at least", MinPassword))
	case len(password) > MaxPassword:
		return refuse(jackfield.Invalid, fmt.Sprintf("a password has %d bytes at most", MaxPassword))
	}
	return nil
}

func hashPassword(password string, c costs) PasswordHash {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	p := PasswordHash{costs: c, salt: string(salt)}
	p.key = p.derive(password, keySize)
	return p
}

func (p PasswordHash) derive(password string, size int) string {
	c := p.costs
	return string(argon2.IDKey([]byte(password), []byte(p.salt), c.passes, c.memory, c.threads, uint32(size)))
}

// fits says whether this is the hash of the password. It costs the same whether it is or not.
func (p PasswordHash) fits(password string) bool {
	if p == (PasswordHash{}) {
		return false
	}
	allowed := password[:min(len(password), MaxPassword)]
	same := subtle.ConstantTimeCompare([]byte(p.derive(allowed, len(p.key))), []byte(p.key)) == 1
	return same && len(allowed) == len(password)
}

var encoding = base64.RawStdEncoding.Strict()

// ParsePasswordHash reads an argon2id hash in the PHC string format, "$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH" with SALT and
// HASH in base64 without padding. Costs of more than 256 MiB, 16 passes or 16 threads are refused. The error shows nothing of it.
func ParsePasswordHash(phc string) (PasswordHash, error) {
	p, ok := parsePHC(phc)
	if !ok {
		return PasswordHash{}, refuse(jackfield.Invalid, "this is not an argon2id hash in the PHC string format, "+
			"such as $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH, with costs within the limits")
	}
	return p, nil
}

func parsePHC(phc string) (p PasswordHash, ok bool) {
	if len(phc) > maxPHCSize {
		return p, false
	}
	fields := strings.Split(phc, "$")
	if len(fields) != 6 || fields[0] != "" || fields[1] != "argon2id" || fields[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, false
	}
	salt, saltErr := encoding.DecodeString(fields[4])
	key, keyErr := encoding.DecodeString(fields[5])
	if saltErr != nil || keyErr != nil || len(salt) < minSalt || len(key) < minKey || max(len(salt), len(key)) > maxField {
		return p, false
	}
	p.costs, ok = parseCosts(fields[3])
	p.salt, p.key = string(salt), string(key)
	// What is read is written the same: there are no leading zeros, signs or line ends in it.
	if !ok || p.PHC() != phc {
		return PasswordHash{}, false
	}
	return p, true
}

func parseCosts(s string) (c costs, ok bool) {
	params := strings.Split(s, ",")
	if len(params) != 3 {
		return c, false
	}
	m, okM := parseCost(params[0], "m=", maxMemory)
	t, okT := parseCost(params[1], "t=", maxPasses)
	p, okP := parseCost(params[2], "p=", maxThreads)
	c = costs{memory: m, passes: t, threads: uint8(p)}
	return c, okM && okT && okP && m >= 8*p // RFC 9106, section 3.1
}

func parseCost(s, prefix string, most uint32) (uint32, bool) {
	digits, found := strings.CutPrefix(s, prefix)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), found && err == nil && 1 <= n && n <= uint64(most)
}

// PHC returns the hash in the PHC string format; empty for no password. It is a secret.
func (p PasswordHash) PHC() string {
	if p == (PasswordHash{}) {
		return ""
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.costs.memory, p.costs.passes, p.costs.threads,
		encoding.EncodeToString([]byte(p.salt)), encoding.EncodeToString([]byte(p.key)))
}

// String says whether there is a password.
func (p PasswordHash) String() string {
	if p == (PasswordHash{}) {
		return "none"
	}
	return "(hidden)"
}

// GoString is String.
func (p PasswordHash) GoString() string { return p.String() }

// LogValue is String.
func (p PasswordHash) LogValue() slog.Value { return slog.StringValue(p.String()) }
