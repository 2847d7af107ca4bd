package https

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"jackfield"
)

// A problem is the body of a refusal (RFC 9457), as the API has it.
type problem struct {
	Type   string         `json:"type"`
	Title  string         `json:"title"`
	Status int            `json:"status"`
	Detail string         `json:"detail"`
	Kind   jackfield.Kind `json:"kind"`
	ID     string         `json:"id,omitempty"`
}

func (p problem) body() []byte {
	p.Type = "urn:jackfield:problem:" + string(p.Kind)
	p.Title = http.StatusText(p.Status)
	text, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(text, '\n')
}

const problemContent = "application/problem+json"

func writeProblem(w http.ResponseWriter, p problem) {
	w.Header().Set("Content-Type", problemContent)
	w.WriteHeader(p.Status)
	w.Write(p.body())
}

// wholeAnswer is an answer for a client that net/http does not have. The header becomes its own.
func wholeAnswer(p problem, header http.Header) []byte {
	text := p.body()
	answer := http.Response{
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1, Close: true,
		Header: header, Body: io.NopCloser(bytes.NewReader(text)),
		ContentLength: int64(len(text)),
	}
	header.Set("Content-Type", problemContent)
	setHeaders(answer.Header)
	var out bytes.Buffer
	answer.Write(&out) // neither can fail
	return out.Bytes()
}
