package gitlab_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const token = "glpat-a-token-of-a-test"

// server is a GitLab with nothing but runners.
type server struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	runners  map[int]map[string]any
	next     int
	requests []string
	bodies   []map[string]any
	headers  http.Header
	// Answers that come before the real one, for each request in turn.
	faults []int
}

func newServer(t *testing.T, make func(http.Handler) *httptest.Server) *server {
	s := &server{t: t, runners: map[int]map[string]any{}, next: 41}
	s.Server = make(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v4")
	s.requests = append(s.requests, r.Method+" "+path)
	s.headers = r.Header.Clone()
	if len(s.faults) > 0 {
		fault := s.faults[0]
		s.faults = s.faults[1:]
		if fault != http.StatusOK {
			s.answer(w, fault, map[string]any{"message": fmt.Sprintf("%d on request", fault)})
			return
		}
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		s.answer(w, http.StatusUnauthorized, map[string]any{"message": "401 Unauthorized"})
		return
	}
	var body map[string]any
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			s.t.Errorf("%s %s: not JSON: %v", r.Method, path, err)
		}
		s.bodies = append(s.bodies, body)
	}
	switch {
	case path == "/user":
		s.answer(w, http.StatusOK, map[string]any{"id": 1, "username": "someone"})
	case path == "/user/runners":
		s.create(w, body)
	case strings.HasPrefix(path, "/runners/"):
		s.one(w, r.Method, strings.TrimPrefix(path, "/runners/"), body)
	default:
		s.answer(w, http.StatusNotFound, map[string]any{"message": "404 Not Found"})
	}
}

func (s *server) create(w http.ResponseWriter, body map[string]any) {
	if body["description"] == "refused" {
		s.answer(w, http.StatusBadRequest, map[string]any{"message": map[string]any{"tags": []string{"are missing"}}})
		return
	}
	s.next++
	runner := map[string]any{
		"id": s.next, "description": "", "paused": false, "locked": false, "run_untagged": true,
		"tag_list": []any{}, "access_level": "not_protected", "maximum_timeout": nil, "maintenance_note": nil,
		"projects": []any{}, "groups": []any{},
	}
	if id := body["project_id"]; id != nil {
		runner["projects"] = []any{map[string]any{"id": id}}
	}
	if id := body["group_id"]; id != nil {
		runner["groups"] = []any{map[string]any{"id": id}}
	}
	for key, value := range body {
		runner[key] = value
	}
	s.runners[s.next] = runner
	s.answer(w, http.StatusCreated, map[string]any{"id": s.next, "token": fmt.Sprintf("glrt-secret-%d", s.next)})
}

func (s *server) one(w http.ResponseWriter, method, name string, body map[string]any) {
	id, _ := strconv.Atoi(name)
	runner, ok := s.runners[id]
	if !ok {
		s.answer(w, http.StatusNotFound, map[string]any{"message": "404 Runner Not Found"})
		return
	}
	switch method {
	case http.MethodDelete:
		delete(s.runners, id)
		w.WriteHeader(http.StatusNoContent)
		return
	case http.MethodPut:
		for key, value := range body {
			runner[key] = value
		}
	}
	s.answer(w, http.StatusOK, runner)
}

func (s *server) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.t.Error(err)
	}
}

// seen gives the requests since the last call.
func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.requests
	s.requests = nil
	return seen
}

func (s *server) lastBody() map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[len(s.bodies)-1]
}

func (s *server) fail(statuses ...int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = statuses
}
