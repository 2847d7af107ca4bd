package control

import (
	"encoding/binary"
	"io"
	"net"

	"jackfield/wire/inedo"
)

// frames is a connection with the messages of the Inedo protocol in clear, in the layout of version 2, without its handshake. Nothing
// beyond a message is read.
type frames struct{ net.Conn }

const frameHead = 8 // int32 length of the data, int32 command

func (f frames) Send(command int32, data []byte) error {
	frame := binary.LittleEndian.AppendUint32(make([]byte, 0, frameHead+len(data)), uint32(len(data)))
	frame = binary.LittleEndian.AppendUint32(frame, uint32(command))
	_, err := f.Write(append(frame, data...))
	return err
}

func (f frames) Receive() (inedo.Message, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return inedo.Message{}, err
	}
	length := int32(binary.LittleEndian.Uint32(head[:]))
	if length < 0 || length > MaxData {
		return inedo.Message{}, inedo.ErrLength
	}
	data := make([]byte, length)
	if _, err := io.ReadFull(f, data); err == io.EOF {
		return inedo.Message{}, io.ErrUnexpectedEOF
	} else if err != nil {
		return inedo.Message{}, err
	}
	return inedo.Message{Command: int32(binary.LittleEndian.Uint32(head[4:])), Data: data}, nil
}

// Raw is the connection itself.
func (f frames) Raw() (net.Conn, error) { return f.Conn, nil }
