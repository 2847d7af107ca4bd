package control

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// Sizes in bytes of what an inbound link's messages are sealed with.
const (
	KeySize   = 32
	NonceSize = 32

	counterSize  = 8
	sealSize     = sha256.Size
	SealOverhead = counterSize + sealSize
)

// A Key is an agent's own, which both ends of an inbound link have.
type Key [KeySize]byte

// String hides the key from logs.
func (Key) String() string { return "(secret)" }

// ParseKey reads 64 hexadecimal digits. White space around them is ignored.
func ParseKey(text string) (key Key, err error) {
	digits := strings.TrimSpace(text)
	if len(digits) != 2*KeySize {
		return Key{}, errors.New("the key of an agent has 64 hexadecimal digits")
	}
	if _, err := hex.Decode(key[:], []byte(digits)); err != nil {
		return Key{}, errors.New("the key of an agent has nothing but hexadecimal digits")
	}
	return key, nil
}

// A Nonce is drawn by each end of a link, once.
type Nonce [NonceSize]byte

// sender is who sends a message.
type sender byte

const (
	fromServer sender = 'S'
	fromAgent  sender = 'A'
)

func (s sender) other() sender { return fromServer + fromAgent - s }

// errSeal is the one error of all that is wrong with a seal.
var errSeal = errors.New("a message is not sealed as it has to be")

// A seal is the state of one connection of an inbound link. Sending and receiving may go on at the same time, each by one goroutine.
type seal struct {
	key    Key
	me     sender
	number int64 // of the data connection; 0: the link itself

	server, agent  Nonce
	sent, received uint64
}

// with is the seal of another connection of the same link.
func (s *seal) with(number int64) *seal {
	return &seal{key: s.key, me: s.me, number: number, server: s.server, agent: s.agent}
}

// wrap puts the counter and the code around the data of a message, of which there is no second one with the same counter.
func (s *seal) wrap(command int32, data []byte) []byte {
	out := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+SealOverhead), s.sent)
	out = append(out, data...)
	code := s.code(s.me, command, s.sent, data)
	s.sent++
	return append(out, code[:]...)
}

// unwrap returns the data of a message that the other end has sealed, and that is the next one.
func (s *seal) unwrap(command int32, sealed []byte) ([]byte, error) {
	if len(sealed) < SealOverhead {
		return nil, errSeal
	}
	counter := binary.LittleEndian.Uint64(sealed)
	data := sealed[counterSize : len(sealed)-sealSize]
	want := s.code(s.me.other(), command, counter, data)
	if !hmac.Equal(want[:], sealed[len(sealed)-sealSize:]) || counter != s.received {
		return nil, errSeal
	}
	s.received++
	return data, nil
}

const sealLabel = "jackfield-agent/1\x00"

func (s *seal) code(from sender, command int32, counter uint64, data []byte) (code [sealSize]byte) {
	h := hmac.New(sha256.New, s.key[:])
	head := make([]byte, 0, len(sealLabel)+1+2*NonceSize+8+4+8)
	head = append(head, sealLabel...)
	head = append(head, byte(from))
	head = append(head, s.server[:]...)
	head = append(head, s.agent[:]...)
	head = binary.LittleEndian.AppendUint64(head, uint64(s.number))
	head = binary.LittleEndian.AppendUint32(head, uint32(command))
	head = binary.LittleEndian.AppendUint64(head, counter)
	h.Write(head)
	h.Write(data)
	h.Sum(code[:0])
	return code
}
