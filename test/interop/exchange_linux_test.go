package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"syscall"
	"time"

	"jackfield/test/live"
)

// An input is what a client sends.
type input struct {
	segments []string // each goes out when the server has read those before it
	end      bool     // then the client ends its side
	shown    string   // how the table writes it; empty: the segments themselves
}

// An outcome is what a client got: the exact bytes, and how the connection ended.
type outcome struct {
	reply string
	end   end
}

type end string

const (
	endFIN  end = "FIN"
	endRST  end = "RST"
	endOpen end = "*open*" // no reply within quiet, and not closed either
)

const (
	quiet    = 12 * time.Second // inetutils-inetd may accept one second late, and a busy machine be late with anything
	patience = live.Patience
)

// exchange sends an input to a server. Once the server has accepted the name with "+", the client ends its side: what
// follows then is what the service, an echo, was given.
func exchange(address string, in input) (outcome, error) {
	dialled, err := net.Dial("tcp", address)
	if err != nil {
		return outcome{}, err
	}
	defer dialled.Close()
	conn := dialled.(*net.TCPConn)
	reset, err := send(conn, in)
	if err != nil {
		return outcome{}, err
	}
	got, err := receive(conn)
	if reset && got.end == endFIN { // the write that failed took the error from the socket
		got.end = endRST
	}
	return got, err
}

func send(conn *net.TCPConn, in input) (reset bool, err error) {
	conn.SetWriteDeadline(time.Now().Add(patience))
	for i, segment := range in.segments {
		if i > 0 {
			if err := waitRead(conn); err != nil {
				return false, err
			}
		}
		if _, err := conn.Write([]byte(segment)); err != nil {
			return errors.Is(err, syscall.ECONNRESET), nil // what the server said before it closed is still to be read
		}
	}
	if in.end {
		if err := waitRead(conn); err != nil {
			return false, err
		}
		conn.CloseWrite()
	}
	return false, nil
}

func waitRead(conn *net.TCPConn) error {
	client, server := addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())
	for deadline := time.Now().Add(patience); !hasRead(server, client); {
		if time.Now().After(deadline) {
			return fmt.Errorf("the server at %v did not read in time", server)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

func receive(conn *net.TCPConn) (outcome, error) {
	var reply bytes.Buffer
	conn.SetReadDeadline(time.Now().Add(quiet))
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			conn.SetReadDeadline(time.Now().Add(patience))
		}
		reply.Write(buf[:n])
		if accepted(reply.Bytes()) {
			conn.CloseWrite()
		}
		switch {
		case err == nil:
		case err == io.EOF:
			return outcome{normal(reply.String()), endFIN}, nil
		case errors.Is(err, syscall.ECONNRESET):
			return outcome{normal(reply.String()), endRST}, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && reply.Len() == 0:
			return outcome{"", endOpen}, nil
		default:
			return outcome{}, fmt.Errorf("after %q: %w", reply.String(), err)
		}
	}
}

func accepted(reply []byte) bool {
	return len(reply) > 0 && reply[0] == '+' && bytes.IndexByte(reply, '\n') >= 0
}

var shortID = regexp.MustCompile(`\[[0-9a-z]+-[0-9a-z]+-[0-9a-z]+\]`)

// normal makes the short id of a refusal, which is never the same, one that always is.
func normal(reply string) string { return shortID.ReplaceAllString(reply, "[ID]") }
