package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"jackfield"
)

// How streams of events behave.
const (
	keepAlive      = 15 * time.Second
	writePatience  = 10 * time.Second // for one event; a client that takes none is gone
	maxStreams     = 1000
	maxStreamsEach = 20 // of one user
)

// A StreamEnd is the data of a stream's last event.
type StreamEnd struct {
	Reason string `json:"reason" doc:"why the stream ends, for people"`
}

// A frame is one event on the wire.
type frame struct {
	id    string // for Last-Event-ID; empty: it has none
	event string
	data  any
	last  string // not empty: it is the stream's last one, and this is why
}

// The events that every stream may have beside its own.
const (
	frameReset = "reset" // events are missing: begin anew
	frameEnd   = "end"   // the last one; its data is a StreamEnd
)

// stream sends frames as server-sent events (the HTML standard, section 9.2) until the source has no more, the client goes,
// the caller loses the right to be here, or the server stops. It returns why, for the audit. The source is asked in a
// goroutine of its own, which stream awaits; cancel must make it return.
func (c *call) stream(cancel func(), source func(send func(frame) bool)) (why string, err error) {
	if c.r.Method == http.MethodHead {
		c.beginStream()
		return "only the header was asked for", nil
	}
	leave, entered := c.server.streams.enter(c.who.Identity)
	if !entered {
		return "", jackfield.Refuse(jackfield.Limited, "too many streams of events are open: close one, or come back later", nil)
	}
	defer leave()
	frames, over := make(chan frame), make(chan struct{})
	var sending sync.WaitGroup
	defer sending.Wait()
	defer cancel()
	defer close(over)
	sending.Go(func() {
		defer close(frames)
		source(func(f frame) bool {
			select {
			case frames <- f:
				return true
			case <-over:
				return false
			}
		})
	})
	c.beginStream()
	c.server.Audit(&c.record) // that it began
	if err := c.send([]byte(": here are events\n\n")); err != nil {
		return clientGone, nil
	}
	return c.pump(frames), nil
}

const clientGone = "the client has gone"

func (c *call) beginStream() {
	header := c.w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // of nginx, which would keep events back
	c.control().SetReadDeadline(time.Time{})
	c.writeHeader(http.StatusOK)
	c.record.Status = http.StatusOK
}

func (c *call) pump(frames <-chan frame) (why string) {
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		var f frame
		select {
		case next, more := <-frames:
			if f = next; !more {
				f.last = "there is no more"
			}
		case <-quiet.C:
			if c.send([]byte(": still here\n\n")) != nil {
				return clientGone
			}
			continue
		case <-c.ctx.Done():
		case <-c.server.stopped:
		}
		quiet.Reset(keepAlive)
		switch over := c.over(); {
		case errors.Is(over, context.Canceled): // as net/http has it
			return clientGone
		case over != nil:
			f = frame{last: over.Error()}
		}
		if err := c.sendFrame(f); err != nil {
			return clientGone
		}
		if f.last != "" {
			return f.last
		}
	}
}

// over says why the call has to end, if it has to, whatever of it was noticed first: a source ends with its call, and calls end
// when the server stops.
func (c *call) over() error {
	select {
	case <-c.server.stopped:
		return errors.New(c.server.reason)
	default:
		return context.Cause(c.ctx)
	}
}

// sendFrame sends a frame, and after the last one the event that says so.
func (c *call) sendFrame(f frame) error {
	var text bytes.Buffer
	if f.event != "" {
		if err := writeFrame(&text, f); err != nil {
			return err
		}
	}
	if f.last != "" {
		if err := writeFrame(&text, frame{event: frameEnd, data: StreamEnd{f.last}}); err != nil {
			return err
		}
	}
	return c.send(text.Bytes())
}

// writeFrame relies on JSON having no line ends.
func writeFrame(text *bytes.Buffer, f frame) error {
	data, err := json.Marshal(f.data)
	if err != nil {
		return err
	}
	if f.id != "" {
		text.WriteString("id: " + f.id + "\n")
	}
	text.WriteString("event: " + f.event + "\ndata: ")
	text.Write(data)
	text.WriteString("\n\n")
	return nil
}

func (c *call) send(text []byte) error {
	control := c.control()
	control.SetWriteDeadline(time.Now().Add(writePatience))
	if _, err := c.w.Write(text); err != nil {
		return err
	}
	err := control.Flush()
	control.SetWriteDeadline(time.Now().Add(keepAlive + writePatience)) // HTTP/2 resets a stream when it passes, even if nothing is written
	return err
}

func (c *call) control() *http.ResponseController { return http.NewResponseController(c.w) }
