package inedo

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A reader is the receiving direction of a Conn.
type reader struct {
	typed bool // messages have a type
	max   int
	block cipher.Block // nil: messages are not encrypted here

	mu  sync.Mutex // guards what follows
	iv  [ivSize]byte
	err error
}

func (r *reader) start(o Options, first Reply, typed bool) {
	r.typed, r.max, r.iv = typed, o.MaxData, first.IV
	if o.Mode == ModeAES {
		r.block = o.Key.block
	}
}

func (r *reader) receive(conn io.Reader) (Message, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return Message{}, r.err
	}
	body, err := r.readBody(conn)
	if err != nil {
		return Message{}, err
	}
	if r.block == nil {
		return r.parse(body), nil
	}
	return r.decrypt(body)
}

// readBody reads a message without its length. Its errors stick, but for a deadline before the first byte.
func (r *reader) readBody(conn io.Reader) ([]byte, error) {
	var length [lengthSize]byte
	n, err := io.ReadFull(conn, length[:])
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, err
	}
	size := 0
	if err == nil {
		size, err = r.size(int32(binary.LittleEndian.Uint32(length[:])))
	}
	var body []byte
	if err == nil {
		body, err = readFull(conn, size)
	}
	r.err = err
	return body, err
}

// size is that of the body that follows a length.
func (r *reader) size(length int32) (int, error) {
	n, head := int(length), headSize(r.typed)
	if r.block == nil {
		if n < 0 || n > r.max {
			return 0, fmt.Errorf("%w: %d bytes of data, %d are allowed", ErrLength, n, r.max)
		}
		return head + n, nil
	}
	longest := ivSize + head + r.max
	longest += aes.BlockSize - longest%aes.BlockSize
	if n < 2*aes.BlockSize || n > longest || n%aes.BlockSize != 0 {
		return 0, fmt.Errorf("%w: %d encrypted bytes, %d are allowed", ErrLength, n, longest)
	}
	return n, nil
}

// step is how many bytes are made room for before they have come.
const step = 64 << 10

// readFull reads n bytes. What is set aside for them grows with what has come, so that a peer that announces much and
// sends nothing costs little.
func readFull(conn io.Reader, n int) ([]byte, error) {
	buf := make([]byte, min(n, step))
	for read := 0; ; {
		if _, err := io.ReadFull(conn, buf[read:]); err != nil {
			return nil, unexpected(err)
		}
		if read = len(buf); read == n {
			return buf, nil
		}
		more := make([]byte, min(n, 4*read))
		copy(more, buf)
		buf = more
	}
}

func (r *reader) parse(body []byte) (m Message) {
	if r.typed {
		m.Type = AgentType(body[0])
		body = body[typeSize:]
	}
	m.Command = int32(binary.LittleEndian.Uint32(body))
	m.Data = body[commandSize:]
	return m
}

// decrypt decrypts in place. The vector that the message carries for the next one is used and not checked: a peer may
// choose it by another rule, and a wrong one spoils nothing but itself.
func (r *reader) decrypt(body []byte) (Message, error) {
	cipher.NewCBCDecrypter(r.block, r.iv[:]).CryptBlocks(body, body)
	r.iv = [ivSize]byte(body)
	n, ok := unpad(body, ivSize+headSize(r.typed))
	if ok != 1 {
		return Message{}, ErrDecrypt
	}
	return r.parse(body[ivSize:n:n]), nil
}

// unpad says how long a plaintext is without its padding (PKCS#7), in a time that does not depend on it. ok is 1 if the
// padding is right and the plaintext has at least so many bytes; otherwise it is 0.
func unpad(padded []byte, least int) (n, ok int) {
	end := padded[len(padded)-aes.BlockSize:]
	last := end[aes.BlockSize-1]
	padding := int(last)
	ok = subtle.ConstantTimeLessOrEq(1, padding) & subtle.ConstantTimeLessOrEq(padding, aes.BlockSize)
	for i, b := range end {
		outside := subtle.ConstantTimeLessOrEq(padding+1, aes.BlockSize-i)
		ok &= outside | subtle.ConstantTimeByteEq(b, last)
	}
	n = len(padded) - padding
	ok &= subtle.ConstantTimeLessOrEq(least, n)
	return n, ok
}
