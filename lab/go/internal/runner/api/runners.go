package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

func requestID() string { return rand.Text() }

// Outcome of a poll, for the runner's health.
type Outcome int

// Outcomes of a poll.
const (
	// Answered: with a job or without.
	Answered Outcome = iota
	// Later: GitLab is busy.
	Later
	// Refused: the token is not accepted, or GitLab cannot be reached.
	Refused
)

type jobRequest struct {
	Info       Info   `json:"info"`
	Token      string `json:"token"`
	SystemID   string `json:"system_id"`
	LastUpdate string `json:"last_update,omitempty"`
}

func (s *Server) headers() http.Header {
	return http.Header{"Runner-Token": {s.Token}, "Private-Token": {s.Token}}
}

// RequestJob polls for a job. It waits as long as GitLab holds the request, or until ctx ends.
// The error says why there is no answer, for the log.
func (c *Client) RequestJob(ctx context.Context, server *Server, info Info) (*Job, Outcome, error) {
	c.mu.Lock()
	last := c.lastUpdate[server.URL+server.Token]
	c.mu.Unlock()
	job := &Job{}
	answer := c.do(ctx, server, request{
		method: http.MethodPost, path: "jobs/request", endpoint: RequestJobs, header: server.headers(),
		body:   jobRequest{Info: info, Token: server.Token, SystemID: server.SystemID, LastUpdate: last},
		answer: job, answerStatus: http.StatusCreated,
	})
	if update := answer.header.Get("X-GitLab-Last-Update"); update != "" {
		c.mu.Lock()
		c.lastUpdate[server.URL+server.Token] = update
		c.mu.Unlock()
	}
	switch answer.status {
	case http.StatusCreated:
		job.CAChain = answer.chain
		return job, Answered, nil
	case http.StatusNoContent:
		return nil, Answered, nil
	case http.StatusForbidden:
		return nil, Refused, ErrForbidden
	case clientErrors, unknownContent:
		return nil, Refused, answer.err
	}
	return nil, Later, errors.New(answer.text)
}

// Verified is what GitLab knows of a runner.
type Verified struct {
	ID             int64     `json:"id"`
	Token          string    `json:"token"`
	TokenExpiresAt time.Time `json:"token_expires_at"`
}

// Verify asks whether GitLab accepts the runner's token.
//
// The error is ErrForbidden when it does not; any other error says nothing about the token.
func (c *Client) Verify(ctx context.Context, server *Server, info Info) (Verified, error) {
	var verified Verified
	answer := c.do(ctx, server, request{
		method: http.MethodPost, path: "runners/verify", header: server.headers(),
		body:   jobRequest{Info: info, Token: server.Token, SystemID: server.SystemID},
		answer: &verified, answerStatus: http.StatusOK,
	})
	return verified, answer.check(http.StatusOK)
}

// IsAuthenticationToken tells tokens made with the runner's record from registration's.
func IsAuthenticationToken(token string) bool {
	return strings.HasPrefix(token, "glrt-") || strings.HasPrefix(token, "glrtr-")
}

// Unregister takes this machine's manager, or a runner of the old kind, out of GitLab.
func (c *Client) Unregister(ctx context.Context, server *Server) error {
	path := "runners/managers"
	body := map[string]string{"token": server.Token, "system_id": server.SystemID}
	if !IsAuthenticationToken(server.Token) {
		path, body = "runners", map[string]string{"token": server.Token}
	}
	answer := c.do(ctx, server, request{
		method: http.MethodDelete, path: path, header: server.headers(), body: body,
	})
	return answer.check(http.StatusNoContent)
}

// ResetToken trades the runner's token for a new one.
func (c *Client) ResetToken(ctx context.Context, server *Server) (Verified, error) {
	var fresh Verified
	answer := c.do(ctx, server, request{
		method: http.MethodPost, path: "runners/reset_authentication_token", endpoint: ResetTokens,
		header: server.headers(), body: map[string]string{"token": server.Token},
		answer: &fresh, answerStatus: http.StatusCreated,
	})
	return fresh, answer.check(http.StatusCreated)
}

func (r *response) check(wanted int) error {
	switch r.status {
	case wanted:
		return nil
	case http.StatusForbidden:
		return ErrForbidden
	case clientErrors, unknownContent:
		return r.err
	}
	return fmt.Errorf("unexpected answer: %s", r.text)
}
