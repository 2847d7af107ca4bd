package https

// The reasons for which connections and requests are refused, for metrics and log.
const (
	ReasonConnections = "connections" // the listener has as many as it may
	ReasonSource      = "source"      // the source has as many as it may
	ReasonHandshakes  = "handshakes"  // too many are under way
	ReasonTimeout     = "timeout"     // TLS was not set up in time
	ReasonPlain       = "plain_http"  // HTTP without TLS on a port with TLS
	ReasonTLS         = "tls"         // TLS could not be set up
	ReasonSilence     = "silence"     // no request came in time
	ReasonHeader      = "header"      // a request's header is too long
	ReasonFraming     = "framing"     // where a request ends can be read in more than one way
	ReasonTarget      = "target"      // the request is not for this server
	ReasonOrigin      = "origin"      // a browser sent it for another site
)
