package api

import (
	"net/http"
	"strings"

	"jackfield/internal/identity"
)

// Base is the path under which everything is.
const Base = "/api/v1"

// An access says who may do something.
type access int

const (
	forAll    access = iota // without authentication
	forCaller               // everybody who has proven who they are
	forAdmin                // administrators
)

// An operation is one thing that can be done: a row of the table from which the handler and the document are made.
type operation struct {
	method, path string // the path begins after Base; "{name}" is a parameter
	id           string // of the document: unique, in camel case
	tag          string
	summary      string
	more         string // for the document: what the summary leaves open

	access access
	scope  identity.Scope // that the caller must have; empty: any will do
	target string         // names the path parameter that the audit tells; empty: the handler sets it, or there is none

	query       []parameter
	body        any      // a value of the type of the body; nil: there is none
	bodyTypes   []string // where it is not JSON
	bodyMayMiss bool
	status      int      // of success
	answer      any      // a value of the type of the answer; nil: there is none
	answerType  string   // where it is not JSON
	events      []string // of a stream of events
	eventData   any      // what those events carry
	paged       bool
	tagged      bool // the answer has an entity tag
	guarded     bool // If-Match is heeded
	refusals    []int

	serve  func(*call) (any, error) // its answer is sent as JSON; or
	stream func(*call) (why string, err error)
}

// A parameter is one of the query.
type parameter struct {
	name, doc string
	schema    schema
}

// pattern is the operation's path as it stands in the document.
func (o *operation) pattern() string { return Base + o.path }

// allowed returns the methods that a path has, for the header Allow.
func allowed(operations []*operation) string {
	var methods []string
	for _, o := range operations {
		methods = append(methods, o.method)
		if o.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return strings.Join(append(methods, http.MethodOptions), ", ")
}
