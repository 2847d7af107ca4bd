package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"

	"jackfield"
)

// maxAnswer is the length in bytes of the longest answer that a client reads: about 200,000 sessions.
const maxAnswer = 64 << 20

// A Client asks a server through its admin socket. A refusal by the server is a [*jackfield.Error]; every other error is
// a sentence that says what to do.
type Client struct {
	path string
	http http.Client
}

// Dial makes a client of the server that listens on the socket. It connects for each request.
func Dial(socketPath string) *Client {
	var dialer net.Dialer
	return &Client{path: socketPath, http: http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socketPath)
			},
		},
	}}
}

// Status describes the server.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.do(ctx, http.MethodGet, "/v1/status", &status)
	return status, err
}

// Sessions returns the sessions that are open now, the oldest first.
func (c *Client) Sessions(ctx context.Context) ([]Session, error) {
	var list sessionList
	err := c.do(ctx, http.MethodGet, "/v1/sessions", &list)
	return list.Sessions, err
}

// Devices returns the devices of the server's configuration, by name.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	var list deviceList
	err := c.do(ctx, http.MethodGet, "/v1/devices", &list)
	return list.Devices, err
}

// Disconnect ends a session. It returns when the session was told to end, not when it has.
func (c *Client) Disconnect(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/v1/sessions/"+url.PathEscape(id), &disconnection{})
}

// Reload has the server read its configuration again. A refusal's message says all that is wrong with it.
func (c *Client) Reload(ctx context.Context) (Reloaded, error) {
	var reloaded Reloaded
	err := c.do(ctx, http.MethodPost, "/v1/reload", &reloaded)
	return reloaded, err
}

// Why asks what would become of a request.
func (c *Client) Why(ctx context.Context, q Question) (Explanation, error) {
	var explanation Explanation
	body, err := json.Marshal(q)
	if err == nil {
		err = c.send(ctx, http.MethodPost, "/v1/why", bytes.NewReader(body), &explanation)
	}
	return explanation, err
}

func (c *Client) do(ctx context.Context, method, path string, result any) error {
	return c.send(ctx, method, path, nil, result)
}

func (c *Client) send(ctx context.Context, method, path string, content io.Reader, result any) error {
	if err := checkSocketPath(c.path); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, content)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return c.explain(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return c.explain(err)
	case len(body) > maxAnswer:
		return fmt.Errorf("the server at %s answered with more than %d bytes", c.path, maxAnswer)
	case answer.StatusCode != http.StatusOK:
		return c.refusal(answer, body)
	}
	if err := json.Unmarshal(body, result); err != nil {
		return fmt.Errorf("what listens on %s does not speak like a Jackfield server: %w", c.path, err)
	}
	return nil
}

func (c *Client) refusal(answer *http.Response, body []byte) error {
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Kind == "" {
		return fmt.Errorf("what listens on %s does not speak like a Jackfield server: it answered %s", c.path, answer.Status)
	}
	return &jackfield.Error{Kind: p.Kind, Message: p.Message, ID: p.ID}
}

func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no server runs with %s: start one with \"jackfield serve\", "+
			"or name its socket with --socket", c.path)
	case isRefused(err):
		return fmt.Errorf("the server that ran with %s has ended: start one with \"jackfield serve\", "+
			"or name its socket with --socket", c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not use %s: run this as the server's user or as root", c.path)
	}
	if request, is := errors.AsType[*url.Error](err); is {
		err = request.Err // without the method and the URL, which mean nothing to the person
	}
	return fmt.Errorf("the server at %s did not answer: %w", c.path, err)
}
