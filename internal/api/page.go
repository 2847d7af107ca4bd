package api

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
)

// How many items a list has that says nothing, and may have.
const (
	usualLimit = 100
	maxLimit   = 1000
	maxCursor  = 1 << 10 // bytes
)

// cursorMark begins every cursor of a list, so that what is none is told.
const cursorMark = "1:"

// A cursor is the key of the last item that a client has seen, in a form that nobody is tempted to write.
func encodeCursor(key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(cursorMark + key))
}

func decodeCursor(cursor string) (key string, err error) {
	if cursor == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(cursor) > maxCursor || len(text) <= len(cursorMark) || string(text[:len(cursorMark)]) != cursorMark {
		return "", invalid("the cursor is none that a list has given")
	}
	return string(text[len(cursorMark):]), nil
}

func parseLimit(text string) (int, error) {
	if text == "" {
		return usualLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		return 0, invalid(fmt.Sprintf("limit must be a number from 1 to %d", maxLimit))
	}
	return limit, nil
}

// paginate returns the part of a list that the call asks for, in the order of the keys, which must differ. The next cursor
// is empty at the end of the list.
func paginate[T any](c *call, items []T, key func(T) string) (part []T, next string, err error) {
	limit, err := parseLimit(c.query("limit"))
	if err != nil {
		return nil, "", err
	}
	after, err := decodeCursor(c.query("cursor"))
	if err != nil {
		return nil, "", err
	}
	part = []T{} // [], not null
	for _, item := range items {
		if key(item) > after {
			part = append(part, item)
		}
	}
	slices.SortFunc(part, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if len(part) > limit {
		part = part[:limit]
		next = encodeCursor(key(part[limit-1]))
	}
	c.linkNext(next)
	return part, next, nil
}

// linkNext names the next part of a list in a header (RFC 8288).
func (c *call) linkNext(cursor string) {
	if cursor == "" {
		return
	}
	query := c.r.URL.Query()
	query.Set("cursor", cursor)
	c.w.Header().Set("Link", fmt.Sprintf("<%s?%s>; rel=\"next\"", c.r.URL.EscapedPath(), query.Encode()))
}
