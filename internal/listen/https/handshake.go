package https

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"jackfield"
	"jackfield/internal/listen"
	"jackfield/internal/tlsstream"
)

// The ALPN names of HTTP (RFC 9113, section 3.2; RFC 7301, section 6).
const (
	protocolH1 = "http/1.1"
	protocolH2 = "h2"
)

// Protocols is the ALPN list of a listener with these protocols beside HTTP, for configurations that GetConfigForClient
// returns. A client that offers none of them is refused with the alert for that; one that offers no list gets HTTP/1.1.
func Protocols(alpn map[string]func(context.Context, *tls.Conn, *listen.Client)) []string {
	return append([]string{protocolH2, protocolH1}, slices.Sorted(maps.Keys(alpn))...)
}

func withProtocols(config *tls.Config, alpn map[string]func(context.Context, *tls.Conn, *listen.Client)) *tls.Config {
	if config == nil || config.NextProtos != nil {
		return config
	}
	config = config.Clone()
	config.NextProtos = Protocols(alpn)
	return config
}

// handshake sets up TLS. After a failure, which ends the connection, it returns nil.
func (h *Handler) handshake(ctx context.Context, c *listen.Client) *tls.Conn {
	leave, reason := h.Places.shakeHands(c.Source.Addr(), &h.Limits)
	if reason != "" {
		h.reset(c, reason)
		return nil
	}
	conn := tlsstream.Server(c.Conn, h.tls)
	err := h.shakeHands(ctx, conn, c)
	leave()
	if err != nil {
		h.giveUp(c, err)
		return nil
	}
	return conn
}

func (h *Handler) shakeHands(ctx context.Context, conn *tls.Conn, c *listen.Client) error {
	stop := context.AfterFunc(ctx, func() { c.Conn.Close() })
	defer stop()
	c.Conn.SetDeadline(time.Now().Add(h.Limits.HandshakeTimeout))
	if err := conn.Handshake(); err != nil {
		return err
	}
	return c.Conn.SetDeadline(time.Time{})
}

// giveUp ends a connection without TLS, so that an alert or our answer arrives.
func (h *Handler) giveUp(c *listen.Client, err error) {
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET):
		c.Conn.Close() // it has gone, or we are stopping
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.Reset()
		h.refused(ReasonTimeout, "TLS was not set up in time", "source", c.Source)
	case errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader):
		h.refused(ReasonPlain, "a client speaks HTTP without TLS", "source", c.Source)
		c.Farewell(func(w io.Writer) error { _, err := w.Write(h.useTLS(c)); return err })
	default:
		h.refused(ReasonTLS, "TLS could not be set up", "source", c.Source, "error", err)
		c.Farewell(func(io.Writer) error { return nil }) // crypto/tls has sent the alert
	}
}

// The first five bytes of HTTP requests: where TLS has the header of a record, of which the first byte is 22.
var requestStarts = []string{
	"GET /", "GET h", "HEAD ", "POST ", "PUT /", "PUT h", "PATCH", "DELET", "OPTIO", "CONNE", "TRACE", "PRI *",
}

// looksLikeHTTP says whether these may be the first bytes of an HTTP request. They are all that can be seen of it.
func looksLikeHTTP(first [5]byte) bool { return slices.Contains(requestStarts, string(first[:])) }

// useTLS is the answer to HTTP without TLS. It names the host as we know it, not as the client does.
func (h *Handler) useTLS(c *listen.Client) []byte {
	host := c.Local.Addr().WithZone("").String()
	if len(h.Names) > 0 {
		host = h.Names[0]
	}
	if c.Local.Port() != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(int(c.Local.Port())))
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return wholeAnswer(problem{
		Status: http.StatusBadRequest,
		Kind:   jackfield.Invalid,
		Detail: fmt.Sprintf("this port speaks HTTPS: use https://%s", host),
	}, make(http.Header))
}
