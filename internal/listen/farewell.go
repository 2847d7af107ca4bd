package listen

import (
	"io"
	"time"
)

// How long a client may take to accept our last words; and what is read, and for how long, from one that was refused.
// Without that its unread bytes would turn our close into a reset, which can destroy the answer on its way.
const (
	farewellTime = 10 * time.Second
	drainBytes   = 4 << 10
	drainTime    = time.Second
)

// Farewell has our last words written, ends our direction, drains a little and closes the connection. Words that do not
// arrive whole end in a reset.
func (c *Client) Farewell(write func(io.Writer) error) {
	c.Conn.SetDeadline(time.Now().Add(farewellTime))
	if err := write(c.Conn); err != nil {
		c.Reset()
		return
	}
	defer c.Conn.Close()
	if err := c.Conn.CloseWrite(); err != nil {
		return
	}
	if leave, ok := enter(c.rooms.draining); ok {
		defer leave()
		c.Conn.SetDeadline(time.Now().Add(drainTime))
		io.CopyN(io.Discard, c.Conn, drainBytes)
	}
}

// Reset closes the connection with a reset: nobody can take it for a service that ended in order.
func (c *Client) Reset() {
	c.Conn.SetLinger(0)
	c.Conn.Close()
}
