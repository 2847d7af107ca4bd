package https

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"jackfield"
)

// caller finds out who asks: by the header if there is one, and otherwise by the client's certificate.
func (c *Connector) caller(r *http.Request) (Caller, error) {
	headers := r.Header["Proxy-Authorization"]
	switch {
	case len(headers) == 1:
		return c.byHeader(headers[0])
	case len(headers) > 1:
		return Caller{}, unauthenticated("there is more than one Proxy-Authorization", nil)
	case r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		return known(c.Callers.Owner(r.TLS.PeerCertificates[0]))("the client certificate is nobody's here")
	}
	return Caller{}, unauthenticated("say who you are: Proxy-Authorization with a token, as Bearer or as the password of Basic", nil)
}

func (c *Connector) byHeader(header string) (Caller, error) {
	scheme, credentials, _ := strings.Cut(header, " ")
	credentials = strings.TrimSpace(credentials)
	switch strings.ToLower(scheme) {
	case "bearer":
		return known(c.Callers.Bearer(credentials))("the token is not valid: log in again")
	case "basic":
		return c.byBasic(credentials)
	}
	return Caller{}, unauthenticated("Proxy-Authorization is either Bearer or Basic here", nil)
}

var errOtherUser = errors.New("the token is another user's")

// byBasic takes a token for the password (RFC 7617). The user's name may be left out.
func (c *Connector) byBasic(credentials string) (Caller, error) {
	const sentence = "the password of Basic has to be a token of the user named beside it, or of anybody if no user is: a real " +
		"password is never taken here"
	decoded, err := base64.StdEncoding.DecodeString(credentials)
	user, token, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok {
		return Caller{}, unauthenticated("the credentials of Basic cannot be read", err)
	}
	caller, err := known(c.Callers.Bearer(token))(sentence)
	if err != nil {
		return Caller{}, err
	}
	if user != "" && !strings.EqualFold(user, caller.Identity.User) {
		return Caller{}, unauthenticated(sentence, errOtherUser)
	}
	return caller, nil
}

// known has the client told a sentence of ours where it is nobody, and no more than that.
func known(caller Caller, err error) func(sentence string) (Caller, error) {
	return func(sentence string) (Caller, error) {
		if err != nil && jackfield.AsError(err).Kind == jackfield.Unauthenticated {
			err = unauthenticated(sentence, err)
		}
		return caller, err
	}
}

func unauthenticated(sentence string, details error) error {
	return jackfield.Refuse(jackfield.Unauthenticated, sentence, details)
}
