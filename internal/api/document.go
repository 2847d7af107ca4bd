package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

//go:generate go run ./gen ../../docs/api.md

// Document returns the OpenAPI 3.1 document of the API, made from the table of operations that the handlers are made from.
func Document() []byte {
	text, err := json.MarshalIndent(describe(operations()), "", "  ")
	if err != nil {
		return nil // maps, slices, strings, numbers and booleans can be encoded
	}
	return append(text, '\n')
}

const introduction = "What can be done with a Jackfield server, over HTTPS or its Unix socket. Everything is JSON; a refusal " +
	"is a problem (RFC 9457): its `kind` is for programs, its `detail` for people, and its `id` is in the log and the audit."

func describe(table []*operation) schema {
	components := make(schemas)
	paths := schema{}
	for _, o := range table {
		path, there := paths[o.pattern()].(schema)
		if !there {
			path = schema{}
			if parameters := pathParameters(o.path); parameters != nil {
				path["parameters"] = parameters
			}
			paths[o.pattern()] = path
		}
		path[strings.ToLower(o.method)] = o.describe(components)
	}
	components.of(reflect.TypeFor[Problem]())
	return schema{
		"openapi": "3.1.0",
		"info":    schema{"title": "Jackfield", "version": "v1", "description": introduction},
		"servers": []schema{{"url": "/"}},
		"tags":    tags(table),
		"paths":   paths,
		"components": schema{
			"schemas":         components,
			"securitySchemes": securitySchemes,
		},
	}
}

var securitySchemes = schema{
	"token": schema{
		"type": "http", "scheme": "bearer",
		"description": "A token, from POST /login or POST /tokens. On the Unix socket none is needed: " +
			"root and the server's own user are administrators there.",
	},
	"certificate": schema{
		"type":        "mutualTLS",
		"description": "A client certificate of the server's authority, where the listener asks for one.",
	},
}

func tags(table []*operation) []schema {
	var named []schema
	for _, o := range table {
		if !slices.ContainsFunc(named, func(s schema) bool { return s["name"] == o.tag }) {
			named = append(named, schema{"name": o.tag, "description": tagDescriptions[o.tag]})
		}
	}
	return named
}

var pathParameterDocs = map[string]string{
	"name":   "its name",
	"id":     "its id",
	"user":   "the name of the user",
	"serial": "the serial number, in hexadecimal digits",
}

// parameterNames are those in a path.
func parameterNames(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(segment, "{") {
			names = append(names, strings.Trim(segment, "{}"))
		}
	}
	return names
}

func pathParameters(path string) []schema {
	var parameters []schema
	for _, name := range parameterNames(path) {
		parameters = append(parameters, schema{
			"name": name, "in": "path", "required": true, "description": pathParameterDocs[name],
			"schema": schema{"type": "string", "minLength": 1},
		})
	}
	return parameters
}

func (o *operation) describe(components schemas) schema {
	described := schema{
		"operationId": o.id,
		"tags":        []string{o.tag},
		"summary":     o.summary,
		"description": o.description(),
		"responses":   o.responses(components),
		"security":    o.security(),
	}
	if parameters := o.parameters(); len(parameters) > 0 {
		described["parameters"] = parameters
	}
	if content := o.bodyContent(components); content != nil {
		described["requestBody"] = schema{"required": !o.bodyMayMiss, "content": content}
	}
	return described
}

// description says in words what OpenAPI has no field for.
func (o *operation) description() string {
	who := map[access]string{
		forAll:    "Needs no authentication.",
		forCaller: "For every caller",
		forAdmin:  "For administrators",
	}[o.access]
	if o.access != forAll {
		if o.scope != "" {
			who += ", with a token of scope `" + string(o.scope) + "`"
		}
		who += "."
	}
	return strings.TrimSpace(who + " " + o.more)
}

func (o *operation) security() []schema {
	if o.access == forAll {
		return []schema{}
	}
	scopes := []string{}
	if o.scope != "" {
		scopes = append(scopes, string(o.scope))
	}
	return []schema{{"token": scopes}, {"certificate": scopes}}
}

func (o *operation) parameters() []schema {
	var parameters []schema
	for _, p := range o.queryParameters() {
		parameters = append(parameters, schema{"name": p.name, "in": "query", "description": p.doc, "schema": p.schema})
	}
	header := func(name, doc string) {
		parameters = append(parameters, schema{
			"name": name, "in": "header", "description": doc, "schema": schema{"type": "string"},
		})
	}
	if o.guarded {
		header("If-Match", "the entity tag of what is to be changed; if it has another one by now, the answer is 412")
	}
	if o.tagged && o.method == http.MethodGet {
		header("If-None-Match", "the entity tag that the client has: if it is still the same, the answer is 304")
	}
	if o.events != nil {
		header("Last-Event-ID", "the id of the last event that the client has seen: what came since then is sent first")
	}
	return parameters
}

var pageParameters = []parameter{
	{"limit", "how many items the answer may have", schema{
		"type": "integer", "minimum": 1, "maximum": maxLimit, "default": usualLimit,
	}},
	{"cursor", "`next` of the part before", schema{"type": "string", "maxLength": maxCursor}},
}

// queryParameters are all that the operation heeds; others are refused.
func (o *operation) queryParameters() []parameter {
	if !o.paged {
		return o.query
	}
	return append(slices.Clone(o.query), pageParameters...)
}

func (o *operation) bodyContent(components schemas) schema {
	content := schema{}
	if o.body != nil {
		content["application/json"] = schema{"schema": components.of(reflect.TypeOf(o.body))}
	}
	for _, mediaType := range o.bodyTypes {
		content[mediaType] = schema{"schema": schema{"type": "string"}}
	}
	if len(content) == 0 {
		return nil
	}
	return content
}

func (o *operation) responses(components schemas) schema {
	responses := schema{strconv.Itoa(o.success()): o.answered(components)}
	if o.tagged && o.method == http.MethodGet {
		responses["304"] = schema{"description": "It has not changed.", "headers": headers("ETag")}
	}
	for _, status := range o.refused() {
		responses[strconv.Itoa(status)] = refusalResponse(status)
	}
	return responses
}

func (o *operation) success() int {
	switch {
	case o.status != 0:
		return o.status
	case o.answer == nil && o.answerType == "" && o.events == nil:
		return http.StatusNoContent
	}
	return http.StatusOK
}

func (o *operation) answered(components schemas) schema {
	response := schema{"description": "Done."}
	switch {
	case o.events != nil:
		names := append(slices.Clone(o.events), frameReset, frameEnd)
		response["description"] = "Server-sent events: " + strings.Join(names, ", ") + ". The data of each is JSON: " + reflect.TypeOf(o.eventData).Name() +
			", and of " + frameReset + " and " + frameEnd + " a StreamEnd."
		components.of(reflect.TypeOf(o.eventData))
		components.of(reflect.TypeFor[StreamEnd]())
		response["content"] = schema{"text/event-stream": schema{"schema": schema{"type": "string"}}}
	case o.answerType != "":
		response["content"] = schema{o.answerType: schema{"schema": schema{"type": "string"}}}
	case o.answer != nil:
		response["content"] = schema{"application/json": schema{"schema": components.of(reflect.TypeOf(o.answer))}}
	}
	var named []string
	if o.tagged {
		named = append(named, "ETag")
	}
	if o.paged {
		named = append(named, "Link")
	}
	if o.success() == http.StatusCreated {
		named = append(named, "Location")
	}
	if named != nil {
		response["headers"] = headers(named...)
	}
	return response
}

var headerDocs = map[string]string{
	"ETag":             "the entity tag, for If-None-Match and If-Match",
	"Link":             "where the list goes on, with rel=\"next\"",
	"Location":         "where to find it",
	"WWW-Authenticate": "how to prove who you are (RFC 6750)",
	"Retry-After":      "how many seconds to wait",
	"Allow":            "the methods that there are",
}

func headers(names ...string) schema {
	described := schema{}
	for _, name := range names {
		described[name] = schema{"description": headerDocs[name], "schema": schema{"type": "string"}}
	}
	return described
}

// refused are the statuses of the refusals that the operation may answer with.
func (o *operation) refused() []int {
	list := []int{http.StatusBadRequest, http.StatusInternalServerError}
	if o.access != forAll || o.method != http.MethodGet {
		list = append(list, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable)
	}
	if o.access != forAll {
		list = append(list, http.StatusUnauthorized)
	}
	if len(parameterNames(o.path)) > 0 {
		list = append(list, http.StatusNotFound)
	}
	if o.body != nil || o.bodyTypes != nil {
		list = append(list, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if o.guarded {
		list = append(list, http.StatusPreconditionFailed)
	}
	list = append(list, o.refusals...)
	slices.Sort(list)
	return slices.Compact(list)
}

func refusalResponse(status int) schema {
	response := schema{
		"description": http.StatusText(status),
		"content":     schema{"application/problem+json": schema{"schema": schema{"$ref": "#/components/schemas/Problem"}}},
	}
	switch status {
	case http.StatusUnauthorized:
		response["headers"] = headers("WWW-Authenticate")
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		response["headers"] = headers("Retry-After")
	}
	return response
}

func getDocument(c *call) (any, error) { return json.RawMessage(c.server.document()), nil }
