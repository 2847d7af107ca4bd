package inedo

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
)

const (
	lengthSize  = 4
	typeSize    = 1 // in a client's messages in V1
	commandSize = 4
)

// headSize is the length of what stands between the length (or, encrypted, the next vector) and the data.
func headSize(typed bool) int {
	if typed {
		return typeSize + commandSize
	}
	return commandSize
}

// A writer is the sending direction of a Conn.
type writer struct {
	typed  bool // messages have a type
	max    int
	block  cipher.Block // nil: messages are not encrypted here
	random io.Reader

	mu  sync.Mutex // the order of vectors is the order of messages; guards what follows
	iv  [ivSize]byte
	err error
}

func (w *writer) start(o Options, first Reply, typed bool) {
	w.typed, w.max, w.random, w.iv = typed, o.MaxData, o.random, first.IV
	if o.Mode == ModeAES {
		w.block = o.Key.block
	}
}

// send sends a message in one Write.
func (w *writer) send(conn io.Writer, m Message) error {
	if len(m.Data) > w.max {
		return fmt.Errorf("%w: %d bytes of data, %d are allowed", ErrLength, len(m.Data), w.max)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	var wire []byte
	if w.block == nil {
		wire = w.clear(m)
	} else if wire, w.err = w.encrypt(m); w.err != nil {
		return w.err
	}
	_, w.err = conn.Write(wire)
	return w.err
}

// clear is the layout "Client to Server Message" and "Server to Client Message" of the Inedo document.
func (w *writer) clear(m Message) []byte {
	wire := make([]byte, 0, lengthSize+headSize(w.typed)+len(m.Data))
	wire = binary.LittleEndian.AppendUint32(wire, uint32(len(m.Data)))
	return w.appendBody(wire, m)
}

// encrypt is the layout under AES: the length, then, encrypted, the vector of the next message and this one's body.
func (w *writer) encrypt(m Message) ([]byte, error) {
	plain := ivSize + headSize(w.typed) + len(m.Data)
	padding := aes.BlockSize - plain%aes.BlockSize
	wire := make([]byte, lengthSize+ivSize, lengthSize+plain+padding)
	binary.LittleEndian.PutUint32(wire, uint32(plain+padding))
	if _, err := io.ReadFull(w.random, wire[lengthSize:]); err != nil {
		return nil, err
	}
	next := [ivSize]byte(wire[lengthSize:])
	wire = w.appendBody(wire, m)
	for range padding { // PKCS#7: RFC 5652, section 6.3
		wire = append(wire, byte(padding))
	}
	cipher.NewCBCEncrypter(w.block, w.iv[:]).CryptBlocks(wire[lengthSize:], wire[lengthSize:])
	w.iv = next
	return wire, nil
}

func (w *writer) appendBody(wire []byte, m Message) []byte {
	if w.typed {
		wire = append(wire, byte(m.Type))
	}
	wire = binary.LittleEndian.AppendUint32(wire, uint32(m.Command))
	return append(wire, m.Data...)
}
