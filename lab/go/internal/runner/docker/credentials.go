package docker

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gitlab-runner-proxmox/lab/internal/runner/engine"
)

const (
	dockerHub    = "docker.io"
	dockerHubOld = "index.docker.io"
)

// authFile is what `docker login` writes.
type authFile struct {
	Auths map[string]struct {
		Auth     string `json:"auth"`
		Username string `json:"username"`
		Password string `json:"password"`
	} `json:"auths"`
}

// registryOf is the host that an image comes from.
func registryOf(image string) string {
	host, _, found := strings.Cut(image, "/")
	if !found || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		return dockerHub
	}
	return normalize(host)
}

// normalize brings the ways to write a registry to one.
func normalize(server string) string {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	host, _, _ := strings.Cut(server, "/")
	if host == dockerHubOld || host == "registry-1.docker.io" {
		return dockerHub
	}
	return host
}

// credentials finds what opens an image's registry: what the job says, what the user of the runner
// has, what GitLab hands over with the job. None is no error.
func (e *Executor) credentials(image string) (*engine.Auth, string, error) {
	host := registryOf(image)
	if text := e.b.Variables().Get("DOCKER_AUTH_CONFIG"); text != "" {
		auth, err := authFrom([]byte(text), host)
		if err != nil {
			return nil, "", fmt.Errorf("$DOCKER_AUTH_CONFIG: %w", err)
		}
		if auth != nil {
			return auth, "$DOCKER_AUTH_CONFIG", nil
		}
	}
	if home, err := os.UserHomeDir(); err == nil {
		file := filepath.Join(home, ".docker", "config.json")
		if data, err := os.ReadFile(file); err == nil {
			auth, err := authFrom(data, host)
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w", file, err)
			}
			if auth != nil {
				return auth, file, nil
			}
		}
	}
	for _, credentials := range e.b.Job.Credentials {
		if credentials.Type == "registry" && normalize(credentials.URL) == host {
			return &engine.Auth{
				Username: credentials.Username, Password: credentials.Password, ServerAddress: credentials.URL,
			}, "job payload (GitLab Registry)", nil
		}
	}
	return nil, "", nil
}

func authFrom(data []byte, host string) (*engine.Auth, error) {
	var file authFile
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	for server, entry := range file.Auths {
		if normalize(server) != host {
			continue
		}
		auth := &engine.Auth{Username: entry.Username, Password: entry.Password, ServerAddress: server}
		if entry.Auth != "" {
			decoded, err := base64.StdEncoding.DecodeString(entry.Auth)
			if err != nil {
				return nil, fmt.Errorf("auth of %s is not base64", server)
			}
			auth.Username, auth.Password, _ = strings.Cut(string(decoded), ":")
		}
		return auth, nil
	}
	return nil, nil
}
