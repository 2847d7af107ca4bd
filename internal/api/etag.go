package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"jackfield"
)

const changedMeanwhile = "it has changed since you read it: read it again"

// encode makes the body of an answer.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return append(body, '\n'), nil
}

// etagOf is the strong entity tag (RFC 9110, section 8.8.3) of a body: the same bytes have the same one.
func etagOf(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// matches says whether a header of the kind of If-Match names the tag.
func matches(header []string, tag string, weak bool) bool {
	for list := range strings.SplitSeq(strings.Join(header, ","), ",") {
		candidate := strings.TrimSpace(list)
		if weak {
			candidate = strings.TrimPrefix(candidate, "W/")
		}
		if candidate == "*" || candidate == tag {
			return true
		}
	}
	return false
}

// wantUnchanged refuses a change of something that is not what the client believes it to be: current is what a GET of it
// would answer. Without If-Match a client believes nothing.
func (c *call) wantUnchanged(current any) error {
	header := c.r.Header.Values("If-Match")
	if len(header) == 0 {
		return nil
	}
	body, err := encode(current)
	if err != nil {
		return err
	}
	if !matches(header, etagOf(body), false) {
		return refuseWith(http.StatusPreconditionFailed, jackfield.Invalid, changedMeanwhile)
	}
	return nil
}

// changing is the context of a change to the directory. It does not end with the caller's right to be here, because the change
// may be what ends it.
func (c *call) changing() context.Context { return c.r.Context() }
