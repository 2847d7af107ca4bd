package admin

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"jackfield"
)

// disconnected is the cause in the audit record of a session that was ended here.
const disconnected = "disconnected by admin"

// An api is what the socket offers.
type api struct {
	control Control
	status  Status
	log     *slog.Logger
}

// An endpoint returns what to answer as JSON, or an error; one that is no refusal reads as internal to the client.
type endpoint func(*http.Request) (any, error)

func (a *api) endpoints() map[string]endpoint {
	return map[string]endpoint{
		"GET /v1/status":           a.getStatus,
		"GET /v1/sessions":         a.listSessions,
		"DELETE /v1/sessions/{id}": a.disconnect,
		"GET /v1/devices":          a.listDevices,
		"POST /v1/reload":          a.reload,
		"POST /v1/why":             a.why,
		"/":                        a.unknown,
	}
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, e := range a.endpoints() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, e) })
	}
	return mux
}

func (a *api) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	if err := peerError(r); err != nil {
		a.refuse(w, r, jackfield.Refuse(jackfield.Denied, "only root and the server's own user may do this", err))
		return
	}
	result, err := e(r)
	if err != nil {
		a.refuse(w, r, jackfield.AsError(err))
		return
	}
	a.write(w, http.StatusOK, result)
}

// A sessionList is the answer to GET /v1/sessions.
type sessionList struct {
	Sessions []Session `json:"sessions"`
}

// A disconnection is the answer to DELETE /v1/sessions/{id}.
type disconnection struct {
	ID string `json:"id"`
}

func (a *api) getStatus(*http.Request) (any, error) { return a.status, nil }

func (a *api) listSessions(*http.Request) (any, error) {
	list := append([]Session{}, a.control.List()...)
	slices.SortFunc(list, func(x, y Session) int {
		if c := x.Started.Compare(y.Started); c != 0 {
			return c
		}
		return strings.Compare(x.ID, y.ID)
	})
	return sessionList{list}, nil
}

// A deviceList is the answer to GET /v1/devices.
type deviceList struct {
	Devices []Device `json:"devices"`
}

func (a *api) listDevices(*http.Request) (any, error) {
	list := append([]Device{}, a.control.Devices()...)
	slices.SortFunc(list, func(x, y Device) int { return strings.Compare(x.Name, y.Name) })
	return deviceList{list}, nil
}

func (a *api) disconnect(r *http.Request) (any, error) {
	id := r.PathValue("id")
	if !a.control.Disconnect(id, disconnected) {
		return nil, jackfield.Refuse(jackfield.NotFound, fmt.Sprintf("there is no session %q", id), nil)
	}
	a.log.Info("session disconnected by admin", "id", id)
	return disconnection{id}, nil
}

func (a *api) reload(*http.Request) (any, error) { return a.control.Reload() }

func (a *api) unknown(r *http.Request) (any, error) {
	return nil, jackfield.Refuse(jackfield.NotFound, fmt.Sprintf("this server has no %s %s", r.Method, r.URL.Path), nil)
}

// A problem is the answer to a request that failed.
type problem struct {
	Kind    jackfield.Kind `json:"kind"`
	Message string         `json:"message"`
	ID      string         `json:"id"` // the log has it, too
}

func (a *api) refuse(w http.ResponseWriter, r *http.Request, refusal *jackfield.Error) {
	p := problem{refusal.Kind, refusal.Message, refusal.ID}
	if p.ID == "" {
		p.ID = strings.ToLower(rand.Text()[:8])
	}
	a.log.Warn("admin request refused", "id", p.ID, "method", r.Method, "path", r.URL.Path,
		"kind", p.Kind, "message", p.Message, "details", refusal.Details)
	a.write(w, httpStatus(p.Kind), p)
}

func (a *api) write(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		a.log.Error("admin answer cannot be encoded", "error", err)
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

func httpStatus(kind jackfield.Kind) int {
	switch kind {
	case jackfield.Unauthenticated:
		return http.StatusUnauthorized
	case jackfield.Denied:
		return http.StatusForbidden
	case jackfield.NotFound:
		return http.StatusNotFound
	case jackfield.Busy:
		return http.StatusConflict
	case jackfield.Limited:
		return http.StatusTooManyRequests
	case jackfield.Unavailable:
		return http.StatusServiceUnavailable
	case jackfield.Invalid:
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
