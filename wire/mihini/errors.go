package mihini

import "errors"

// Why a link ended, as Run returns it. Besides: io.EOF (the peer ended the link between two frames),
// io.ErrUnexpectedEOF (within a frame), the cause of the context, and the errors of the connection.
var (
	// ErrNoListen says that the device did not begin with LISTEN.
	ErrNoListen = errors.New("mihini: the device did not begin with LISTEN")

	// ErrProtocol says that the peer made more protocol errors than allowed: it has lost track of the frames.
	ErrProtocol = errors.New("mihini: too many protocol errors")

	// ErrSilent says that the peer did not answer a probe.
	ErrSilent = errors.New("mihini: the peer does not answer")

	// ErrExhausted says that the device has left every id without the CLOSE that would free it.
	ErrExhausted = errors.New("mihini: the device never answers CLOSE, and no id is left")
)

// Why a stream could not be opened, or ended other than in order.
var (
	// ErrBusy says that all MaxStreams ids are in use.
	ErrBusy = errors.New("mihini: all stream ids of the link are in use")

	// ErrRefused says that the device closed the stream, had sent nothing, and was not asked to. Most likely the service
	// could not be reached, or is not allowed; the protocol has no way to say which.
	ErrRefused = errors.New("mihini: the device closed the stream without a byte")

	// ErrStalled says that the stream's reader took too few bytes while its queue was full.
	ErrStalled = errors.New("mihini: too slow a reader")

	// ErrLinger says that the peer neither sent anything nor closed its side of a half-closed stream for too long.
	ErrLinger = errors.New("mihini: the peer did not close the stream in time")

	// ErrReplaced says that the server opened another stream with the same id.
	ErrReplaced = errors.New("mihini: the server used the stream's id again")

	// ErrUnwanted says that the server has sent CLOSE a second time: nobody wants what the service still has to say.
	ErrUnwanted = errors.New("mihini: the server wants nothing more of the stream")

	// ErrPeerClosed says that what is written has no reader, for the peer has closed the stream.
	ErrPeerClosed = errors.New("mihini: the peer has closed the stream")

	// ErrLinkLost says that the link has ended, and every stream with it. It wraps why; that the peer ended the
	// link between two frames is io.ErrUnexpectedEOF here, for the streams were cut.
	ErrLinkLost = errors.New("mihini: the link is lost")
)

// Why a device answered CONNECT with CLOSE; besides: what Allow or Dial returned.
var (
	// ErrHost says that the address is longer than MaxHost or holds a byte that no name has.
	ErrHost = errors.New("mihini: not a host")

	// ErrNotAllowed says that the device has no rule that would allow anything.
	ErrNotAllowed = errors.New("mihini: nothing is allowed")

	// ErrCrowded says that too many streams that the server has replaced are still ending.
	ErrCrowded = errors.New("mihini: too many streams are ending")
)
