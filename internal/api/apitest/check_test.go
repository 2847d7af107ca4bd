package apitest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	"jackfield/internal/api"
)

// A contract holds calls to the document.
type contract struct {
	document *openapi3.T
	router   routers.Router

	mu   sync.Mutex
	seen map[string]map[int]bool // by operation: the statuses of its answers
}

func newContract(t *testing.T) *contract {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromData(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := legacy.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return &contract{document: document, router: router, seen: make(map[string]map[int]bool)}
}

// check wraps a handler: what it answers must be as the document says, and if it is not a refusal, so must be what it was asked.
func (c *contract) check(t *testing.T) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			route, parameters, err := c.router.FindRoute(r)
			if err != nil {
				next.ServeHTTP(w, r) // the document has no such operation
				return
			}
			const enough = 2 << 20
			body, err := io.ReadAll(io.LimitReader(r.Body, enough))
			if err != nil {
				t.Error(err)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			copied := &copier{ResponseWriter: w}
			next.ServeHTTP(copied, r)
			r.Body = io.NopCloser(bytes.NewReader(body))
			if err := c.validate(r, route, parameters, copied); err != nil {
				t.Errorf("%s %s answered with %d: %v", r.Method, r.URL, copied.status, err)
			}
		})
	}
}

func (c *contract) validate(r *http.Request, route *routers.Route, parameters map[string]string, answer *copier) error {
	c.note(route.Operation.OperationID, answer.status)
	asked := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	}
	if answer.status < 300 {
		if err := openapi3filter.ValidateRequest(r.Context(), asked); err != nil {
			return fmt.Errorf("the call is not as the document says: %w", err)
		}
	}
	if answer.Header().Get("Content-Type") == "text/event-stream" {
		return c.validateEvents(answer.body.String())
	}
	return openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: answer.status, Header: answer.Header(), Options: asked.Options,
		Body: io.NopCloser(&answer.body),
	})
}

// validateEvents holds the data of each event to the schema that the operation's description names.
func (c *contract) validateEvents(stream string) error {
	for event := range strings.SplitSeq(stream, "\n\n") {
		_, text, there := strings.Cut(event, "\ndata: ")
		if !there {
			continue
		}
		_, name, _ := strings.Cut(event[:len(event)-len(text)], "event: ")
		kind := "Event"
		switch name, _, _ := strings.Cut(name, "\n"); name {
		case "record":
			kind = "AuditRecord"
		case "reset", "end":
			kind = "StreamEnd"
		}
		var data any
		if err := json.Unmarshal([]byte(text), &data); err != nil {
			return err
		}
		schema := c.document.Components.Schemas[kind].Value
		if err := schema.VisitJSON(data, openapi3.EnableJSONSchema2020()); err != nil {
			return fmt.Errorf("event %q: %w", event, err)
		}
	}
	return nil
}

func (c *contract) note(operation string, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[operation] == nil {
		c.seen[operation] = make(map[int]bool)
	}
	c.seen[operation][status] = true
}

// was says whether the operation was answered with the status.
func (c *contract) was(operation string, status int) bool {
	return c.eventually(func() bool { return c.seen[operation][status] })
}

// done says whether the operation was answered with success.
func (c *contract) done(operation string) bool {
	return c.eventually(func() bool {
		for status := range c.seen[operation] {
			if status < 300 {
				return true
			}
		}
		return false
	})
}

// eventually waits for what the handler notes a moment after the client has the answer.
func (c *contract) eventually(noted func() bool) bool {
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		c.mu.Lock()
		is := noted()
		c.mu.Unlock()
		if is || time.Now().After(limit) {
			return is
		}
	}
}

// statuses are those that the document gives the operation.
func statuses(o *openapi3.Operation) []int {
	var list []int
	for text := range o.Responses.Map() {
		var status int
		fmt.Sscan(text, &status)
		list = append(list, status)
	}
	slices.Sort(list)
	return list
}

// A copier keeps what is answered.
type copier struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copier) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *copier) Write(text []byte) (int, error) {
	c.body.Write(text)
	return c.ResponseWriter.Write(text)
}

// Unwrap is for http.ResponseController.
func (c *copier) Unwrap() http.ResponseWriter { return c.ResponseWriter }
