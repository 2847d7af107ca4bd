package mihini

import (
	"net"
	"time"
)

// Tune prepares the TCP connection of a link, also one below a wrapper with NetConn: a peer that does not answer for
// dead (at least 6 s), be it to keepalives or to what was sent, breaks the connection; on Linux also one that has taken
// nothing for that time, with frames waiting. Frames are sent without delay. It does nothing to a connection that is
// not TCP.
func Tune(conn net.Conn, dead time.Duration) error {
	for {
		switch c := conn.(type) {
		case *net.TCPConn:
			return tune(c, max(dead, 6*time.Second))
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}

func tune(conn *net.TCPConn, dead time.Duration) error {
	if err := conn.SetNoDelay(true); err != nil {
		return err
	}
	err := conn.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: dead / 2, Interval: dead / 6, Count: 3})
	if err != nil {
		return err
	}
	return setUserTimeout(conn, dead)
}
