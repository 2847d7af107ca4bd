package https

import (
	"io"
	"net/http"
	"strings"
)

// hopFields are those that are between two neighbours (RFC 9110, section 7.6.1), whether Connection names them or not.
var hopFields = []string{"Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// stripHops takes out what is between two neighbours.
func stripHops(header http.Header) {
	for _, list := range header["Connection"] {
		for name := range strings.SplitSeq(list, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopFields {
		header.Del(name)
	}
}

// stripProxy takes out what only a proxy has to say or to be told, so that neither side forges our words to the other.
func stripProxy(header http.Header) { stripPrefix(header, "Proxy-") }

// stripForwarded takes out what a client says of proxies before it: anybody could.
func stripForwarded(header http.Header) {
	header.Del("Forwarded")
	stripPrefix(header, "X-Forwarded-")
}

func stripPrefix(header http.Header, prefix string) {
	for name := range header {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			delete(header, name)
		}
	}
}

// stripRequest is for what a client sends.
func stripRequest(header http.Header) {
	stripProxy(header)
	stripForwarded(header)
}

// An answerBody has the trailers of an answer stripped when they are there.
type answerBody struct {
	io.ReadCloser
	answer *http.Response
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		stripHops(b.answer.Trailer)
		stripProxy(b.answer.Trailer)
	}
	return n, err
}
