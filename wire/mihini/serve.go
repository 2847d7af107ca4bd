package mihini

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// farewell is how long a service has for what is queued for it when its stream breaks.
const farewell = time.Second

// serve joins a stream and its service. Ctx ends when the stream breaks.
func (d *Device) serve(ctx context.Context, s *Stream) {
	defer s.broken()
	service, err := d.dial(ctx, s.target)
	if err != nil {
		d.refuse(s, err)
		return
	}
	if d.o.Opened != nil {
		d.o.Opened(s)
	}
	err = d.join(ctx, s, service)
	if d.o.Closed != nil {
		d.o.Closed(s, err)
	}
}

func (d *Device) dial(ctx context.Context, t Target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.o.DialTimeout)
	defer cancel()
	return d.o.Dial(ctx, "tcp", t.String())
}

// join passes bytes both ways until both directions have ended, and closes both ends. It returns why, nil if in order.
func (d *Device) join(ctx context.Context, s *Stream, service net.Conn) error {
	release := context.AfterFunc(ctx, func() { dismiss(service) })
	defer release()
	var up sync.WaitGroup
	var upErr error
	up.Go(func() { upErr = fromService(s, service) })
	err := toService(service, s)
	up.Wait()
	_ = s.Close()
	if s.brokenBy() != nil {
		sever(service)
	}
	_ = service.Close()
	return reason(s.brokenBy(), err, upErr)
}

// sever has the service see a reset, not an end: what it has got may be cut short.
func sever(service net.Conn) {
	if c, ok := service.(interface{ SetLinger(int) error }); ok {
		_ = c.SetLinger(0)
	}
}

// reason returns the first error that is more than the other direction's end.
func reason(errs ...error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, ErrPeerClosed) {
			return err
		}
	}
	return nil
}

// dismiss ends the reading from a service at once, and the writing soon.
func dismiss(service net.Conn) {
	now := time.Now()
	if service.SetReadDeadline(now) != nil || service.SetWriteDeadline(now.Add(farewell)) != nil {
		_ = service.Close()
	}
}

// toService passes on what the client sends, then the end of its direction. A service that takes no more may still have
// something to say.
func toService(service net.Conn, s *Stream) error {
	_, err := s.WriteTo(service)
	if err != nil {
		s.ignore()
		return err
	}
	if half, ok := service.(interface{ CloseWrite() error }); ok && !s.link.o.Strict {
		_ = half.CloseWrite() // fails on a connection that has broken, as fromService will find
	} else {
		_ = service.Close()
	}
	return nil
}

// The sizes of the buffers for what services send: while nothing comes, and while much does.
const (
	idleBuffer = 1 << 10
	busyBuffer = maxParcel
)

var busyBuffers = sync.Pool{New: func() any { return new([busyBuffer]byte) }}

// fromService passes on what the service sends, then the end of its direction.
func fromService(s *Stream, service net.Conn) error {
	defer s.CloseWrite()
	idle := make([]byte, idleBuffer)
	for {
		n, err := service.Read(idle)
		if _, writeErr := s.Write(idle[:n]); writeErr != nil {
			return writeErr
		}
		if n == len(idle) && err == nil {
			err = passBulk(s, service)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// passBulk passes on what the service sends until it pauses.
func passBulk(s *Stream, service net.Conn) error {
	buf := busyBuffers.Get().(*[busyBuffer]byte)
	defer busyBuffers.Put(buf)
	for {
		n, err := service.Read(buf[:])
		if _, writeErr := s.Write(buf[:n]); writeErr != nil {
			return writeErr
		}
		if err != nil || n <= idleBuffer {
			return err
		}
	}
}
