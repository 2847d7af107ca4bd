package listen

import (
	"io"
	"time"
)

// What is read, and for how long, from a client that was refused. Without it a client's unread bytes would turn our close
// into a reset, which can destroy the answer on its way.
const (
	drainBytes = 4 << 10
	drainTime  = time.Second
	drainers   = 256 // how many refused clients of one socket are waited for at once; the rest are closed at once
)

// Farewell has our last words written, ends our direction, drains a little and closes the connection.
func (c *Client) Farewell(write func(io.Writer) error) {
	defer c.Conn.Close()
	c.Conn.SetDeadline(time.Now().Add(drainTime))
	if err := write(c.Conn); err != nil {
		return
	}
	if err := c.Conn.CloseWrite(); err != nil {
		return
	}
	select {
	case c.draining <- struct{}{}:
		defer func() { <-c.draining }()
		io.CopyN(io.Discard, c.Conn, drainBytes)
	default:
	}
}

// Reset closes the connection with a reset: nobody can take it for a service that ended in order.
func (c *Client) Reset() {
	c.Conn.SetLinger(0)
	c.Conn.Close()
}
