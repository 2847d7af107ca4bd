package relay

import (
	"crypto/tls"
	"net"
	"net/http/httptest"
	"sync"
	"testing"

	"jackfield"
	"jackfield/internal/tlsstream"
)

// tlsPair is a TLS connection over TCP; the near end is the TLS server.
func tlsPair(t testing.TB) (near, far jackfield.Stream) {
	nearTCP, farTCP := tcpPair(t)
	return secure(t, nearTCP, farTCP)
}

func secure(t testing.TB, nearTCP, farTCP jackfield.Stream) (near, far jackfield.Stream) {
	t.Helper()
	certificate.Do(func() {
		host := httptest.NewUnstartedServer(nil) // for its certificate
		host.StartTLS()
		host.Close()
		serverConfig = &tls.Config{Certificates: host.TLS.Certificates}
	})
	server := tlsstream.Server(nearTCP.(*net.TCPConn), serverConfig)
	client := tlsstream.Client(farTCP.(*net.TCPConn), &tls.Config{InsecureSkipVerify: true})
	var handshake sync.WaitGroup
	handshake.Go(func() { server.Handshake() })
	must(t, client.Handshake())
	handshake.Wait()
	return tlsstream.Of(server), tlsstream.Of(client)
}

var (
	certificate  sync.Once
	serverConfig *tls.Config
)
