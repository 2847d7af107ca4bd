package inedo

import (
	"errors"
	"fmt"
)

// Why a handshake failed. Besides: ModeError, the cause of the context, context.DeadlineExceeded, io.EOF (the connection
// ended before a byte), io.ErrUnexpectedEOF (in the middle), and the errors of the connection and of TLS.
var (
	// ErrConfig says that the configuration cannot work: nothing was sent.
	ErrConfig = errors.New("inedo: configuration")

	// ErrProtocolID says that the peer does not speak this protocol: its request does not begin with the protocol's ID.
	ErrProtocolID = errors.New("inedo: not the Inedo Agent protocol")

	// ErrVersion says that the two ends have no protocol version in common.
	ErrVersion = errors.New("inedo: no protocol version in common")

	// ErrNoReply says that the agent disconnected without a reply: it does not speak the protocol or the versions asked
	// for, or does not want to talk to this address.
	ErrNoReply = errors.New("inedo: the agent disconnected without a reply")
)

// Why a message cannot be sent or was not received.
var (
	// ErrLength says that a length is negative, beyond the maximum, or none that an encrypted message can have.
	ErrLength = errors.New("inedo: a message of impossible length")

	// ErrDecrypt says that a message was not encrypted with our key, or not in the way of this protocol. There is one
	// error for all that can be wrong. It does not end the Conn; the package comment says why.
	ErrDecrypt = errors.New("inedo: a message that cannot be decrypted")

	// ErrRaw says that raw bytes would pass unprotected, for the mode is ModeAES.
	ErrRaw = errors.New("inedo: AES mode carries messages only")
)

// What is wrong with a value.
var (
	// ErrKey says that a text is not a key. The text is not repeated.
	ErrKey = errors.New("inedo: an AES key is 32 or 64 hexadecimal digits")

	// ErrData says that data are not what they should be, or cannot be encoded.
	ErrData = errors.New("inedo: malformed data")

	// ErrFileName says that a file name in Update Agent could lead out of the directory that it is meant for.
	ErrFileName = errors.New("inedo: not a plain file name")
)

// A ModeError says that an agent requires another mode than the client was configured for. The reply that says so is not
// authenticated: to follow it would let anybody on the path switch the encryption off.
type ModeError struct {
	Want, Got Mode
}

func (e *ModeError) Error() string {
	return fmt.Sprintf("inedo: the agent requires encryption %s, not %s", e.Got, e.Want)
}
