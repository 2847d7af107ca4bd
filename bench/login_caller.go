//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"jackfield/internal/api"
)

// What a call may take.
const (
	callWithin = 15 * time.Second
	maxAnswer  = 64 << 10 // bytes
)

// An entrance is where the API is.
type entrance struct {
	address string // host:port
	roots   *x509.CertPool
}

// A caller is a client of the API that has an address of its own, and keeps its connections.
type caller struct {
	http *http.Client
	base string
}

// caller returns a client with one of the addresses of 127.0.0.0/8, which all lead to this machine. Close it.
func (e entrance) caller(from netip.Addr, connections int) *caller {
	dialer := &net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))}
	return &caller{
		http: &http.Client{
			Timeout: callWithin,
			Transport: &http.Transport{
				DialContext:         dialer.DialContext,
				TLSClientConfig:     &tls.Config{RootCAs: e.roots},
				MaxConnsPerHost:     connections,
				MaxIdleConnsPerHost: connections,
			},
		},
		base: "https://" + e.address + "/api/v1",
	}
}

func (c *caller) close() { c.http.CloseIdleConnections() }

// tryPassword returns the status of a login, and the token that it gave.
func (c *caller) tryPassword(ctx context.Context, user, password string) (status int, token string, err error) {
	body, err := json.Marshal(api.Login{User: user, Password: password, Label: "bench"})
	if err != nil {
		return 0, "", err
	}
	status, answer, err := c.call(ctx, http.MethodPost, "/login", "", body)
	if err != nil || status >= http.StatusBadRequest {
		return status, "", err
	}
	var grant api.Grant
	err = json.Unmarshal(answer, &grant)
	return status, grant.Secret, err
}

// login is an error if the password is wrong.
func (c *caller) login(ctx context.Context, user, password string) (token string, err error) {
	status, token, err := c.tryPassword(ctx, user, password)
	if err == nil && token == "" {
		err = fmt.Errorf("the login of %s was answered %d", user, status)
	}
	return token, err
}

// showToken asks who the caller is.
func (c *caller) showToken(ctx context.Context, token string) error { return c.get(ctx, "/me", token) }

// health asks for what everybody may know.
func (c *caller) health(ctx context.Context) error { return c.get(ctx, "/health", "") }

func (c *caller) get(ctx context.Context, path, token string) error {
	status, _, err := c.call(ctx, http.MethodGet, path, token, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s was answered %d", path, status)
	}
	return err
}

func (c *caller) call(ctx context.Context, method, path, token string, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, answer, err
}
