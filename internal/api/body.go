package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"jackfield"
)

// MaxBody is the length in bytes of the longest body of JSON or HCL that a call may have.
const MaxBody = 1 << 20

// decode reads the call's body, which must be one JSON value of T and nothing else. What is said of a body that is wrong
// holds the names of fields and no values: they may be secrets.
func decode[T any](c *call) (T, error) {
	var value T
	if err := c.wantContent("application/json"); err != nil {
		return value, err
	}
	body, err := c.body(MaxBody)
	if err != nil {
		return value, err
	}
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return value, bodyError(err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		if tooLarge(err) {
			return value, bodyError(err)
		}
		return value, invalid("the body goes on after its JSON value")
	}
	return value, nil
}

func (c *call) wantContent(mediaTypes ...string) error {
	got, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	for _, wanted := range mediaTypes {
		if err == nil && got == wanted {
			return nil
		}
	}
	return refuseWith(http.StatusUnsupportedMediaType, jackfield.Invalid,
		"the body's Content-Type must be "+strings.Join(mediaTypes, " or "))
}

// body refuses at once what says that it is too large, and breaks off what turns out to be.
func (c *call) body(limit int64) (io.Reader, error) {
	if c.r.ContentLength > limit {
		return nil, bodyError(&http.MaxBytesError{Limit: limit})
	}
	return http.MaxBytesReader(c.w, c.r.Body, limit), nil
}

func tooLarge(err error) bool { return errors.As(err, new(*http.MaxBytesError)) }

// bodyError says what is wrong with a body.
func bodyError(err error) error {
	if large, is := errors.AsType[*http.MaxBytesError](err); is {
		return refuseWith(http.StatusRequestEntityTooLarge, jackfield.Invalid,
			fmt.Sprintf("the body has more than %d bytes", large.Limit))
	}
	if wrong, is := errors.AsType[*json.UnmarshalTypeError](err); is {
		if wrong.Field == "" {
			return invalid("the body must be a JSON object, not: " + wrong.Value)
		}
		return invalid(fmt.Sprintf("the field %q cannot be of type %s", wrong.Field, typeOnly(wrong.Value)))
	}
	if bad, is := errors.AsType[*json.SyntaxError](err); is {
		return invalid(fmt.Sprintf("the body is not JSON: something is wrong at byte %d", bad.Offset))
	}
	if named, is := errors.AsType[*fieldError](err); is {
		return invalid(named.Error())
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("the body ends before its JSON value does")
	}
	if text, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		return invalid("the body has an unknown field: " + clip(text))
	}
	return jackfield.Refuse(jackfield.Invalid, "the body cannot be read", err)
}

// typeOnly leaves of "number 12" what is no value.
func typeOnly(value string) string {
	name, _, _ := strings.Cut(value, " ")
	return name
}

// clip keeps what a client wrote from filling an answer.
func clip(text string) string {
	const enough = 100
	if len(text) <= enough {
		return text
	}
	return strings.ToValidUTF8(text[:enough], "") + "…"
}

// A fieldError is a field whose text has not the form that it must have.
type fieldError struct{ message string }

func (e *fieldError) Error() string { return e.message }
