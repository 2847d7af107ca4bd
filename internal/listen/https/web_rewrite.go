package https

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
)

// rewrite completes the request to the service; ReverseProxy has removed what is between the client and us, and what the client
// says of proxies before it.
func (x *exchange) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	if r.In.Method == http.MethodOptions && r.In.URL.Path == "" && r.In.URL.RawQuery == "" {
		r.Out.URL.Path = "*" // RFC 9112, section 3.2.4
	}
	stripRequest(r.Out.Header)
	stripHops(r.In.Trailer)
	stripRequest(r.In.Trailer)
	r.Out.Trailer = r.In.Trailer // which is complete when the body is, see upload
	r.Out.Header.Add("Via", via(r.In.ProtoMajor, r.In.ProtoMinor))
}

// modify does the same with the answer.
func (x *exchange) modify(answer *http.Response) error {
	switch status := answer.StatusCode; {
	case status < http.StatusOK && status != http.StatusSwitchingProtocols:
		return fmt.Errorf("%w: %03d", errStatus, status)
	case status == http.StatusProxyAuthRequired:
		return errPretends
	}
	x.named.strip(answer.Header)
	stripProxy(answer.Header)
	stripHops(answer.Trailer)
	stripProxy(answer.Trailer)
	if answer.StatusCode != http.StatusSwitchingProtocols {
		answer.Body = &answerBody{answer.Body, answer}
	}
	answer.Header.Add("Via", via(answer.ProtoMajor, answer.ProtoMinor))
	return nil
}

// via is our line in the list of proxies (RFC 9110, section 7.6.3).
func via(major, minor int) string { return fmt.Sprintf("%d.%d jackfield", major, minor) }

var (
	errStatus   = errors.New("no status of HTTP")
	errPretends = errors.New("407 is for proxies to say, not for what is behind them")
)
