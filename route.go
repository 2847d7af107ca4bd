package jackfield

import (
	"context"
	"net"
)

// A Route is how the server reaches a service.
type Route interface {
	// Open opens a stream to the service. It returns when bytes can flow, when the route's own deadline is over, or when
	// ctx ends. The caller closes the stream.
	Open(ctx context.Context, r *Request) (Stream, error)

	// String describes the route in configuration's words, such as "dial 127.0.0.1:80". It holds no secret.
	String() string
}

// A Dialler is a Route that reaches its service by dialling one of several addresses.
type Dialler interface {
	Route
	Destinations() []string // "host:port" or "unix:/path"; not to be changed
}

// A SocketTaker is a Route that can serve a bare TCP client on the client's own socket, with no relay in between.
type SocketTaker interface {
	Route

	// TakeSocket prepares to serve client. When it returns, the service stands ready, yet nothing was read from the
	// client or written to it: the listener then writes its protocol's answer, and Serve begins.
	TakeSocket(ctx context.Context, r *Request, client *net.TCPConn) (Taken, error)
}

// Taken is a client's socket in the hands of a route. The caller still closes the socket.
type Taken interface {
	// Serve runs the session and returns when it has ended, or soon after ctx was cancelled. It is called at most once.
	// Details are for the audit, such as a program's exit status; an error is a connection that broke.
	Serve(ctx context.Context) (details string, err error)

	// Transfer counts the bytes so far; it may be called at any time, while Serve runs and after.
	Transfer() Transfer

	// Release frees what TakeSocket prepared, whether Serve was called or not.
	Release()
}

// A Program is a Stream whose other end is a program of the server's own.
type Program interface {
	Stream

	// Bare is the socket that carries the stream. From its first call on, the program goes on and may speak. Closing the
	// socket tells the program to end.
	Bare() Stream

	// Wait returns when the program has ended, which is soon after the stream was closed. Details are for the audit, such
	// as the exit status; empty if there is nothing to say.
	Wait() (details string)
}

// Linked is a Stream that belongs to a link, such as an agent's, and ends with it.
type Linked interface {
	Stream

	// Bare is the connection that carries the stream, and nothing besides. Closing the stream closes it.
	Bare() Stream

	// Link ends when the link does, with the reason as its cause.
	Link() context.Context
}
