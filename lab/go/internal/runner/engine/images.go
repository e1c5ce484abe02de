package engine

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Image is an image that the engine has.
type Image struct {
	ID           string   `json:"Id"`
	RepoDigests  []string `json:"RepoDigests"`
	Architecture string   `json:"Architecture"`
	OS           string   `json:"Os"`
	Config       struct {
		ExposedPorts map[string]struct{} `json:"ExposedPorts"`
	} `json:"Config"`
}

// InspectImage looks an image up by name or id.
func (c *Client) InspectImage(ctx context.Context, name string) (*Image, error) {
	image := &Image{}
	err := c.call(ctx, http.MethodGet, "/images/"+name+"/json", nil, nil, image)
	if err != nil {
		return nil, err
	}
	return image, nil
}

// Auth opens a registry.
type Auth struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	ServerAddress string `json:"serveraddress"`
}

// PullImage brings an image from its registry. auth may be nil, platform empty.
func (c *Client) PullImage(ctx context.Context, name, platform string, auth *Auth) error {
	if !strings.ContainsRune(name[strings.LastIndex(name, "/")+1:], ':') && !strings.Contains(name, "@") {
		name += ":latest"
	}
	query := url.Values{"fromImage": {name}}
	if platform != "" {
		query.Set("platform", platform)
	}
	header := http.Header{}
	if auth != nil {
		data, err := json.Marshal(auth)
		if err != nil {
			return err
		}
		header.Set("X-Registry-Auth", base64.URLEncoding.EncodeToString(data))
	}
	response, err := c.send(ctx, http.MethodPost, "/images/create", query, header, nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = progress(response.Body)
	return err
}

// LoadImage reads an archive of docker save, and returns the name or id of what was in it.
func (c *Client) LoadImage(ctx context.Context, archive io.Reader) (string, error) {
	header := http.Header{"Content-Type": {"application/x-tar"}}
	response, err := c.send(ctx, http.MethodPost, "/images/load", url.Values{"quiet": {"1"}}, header, archive)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	lines, err := progress(response.Body)
	if err != nil {
		return "", err
	}
	for _, line := range lines {
		for _, prefix := range []string{"Loaded image ID: ", "Loaded image: "} {
			if name, found := strings.CutPrefix(strings.TrimSpace(line), prefix); found {
				return name, nil
			}
		}
	}
	return "", errors.New("the engine does not say which image it has loaded")
}

// ImportImage makes an image of a root file system.
func (c *Client) ImportImage(ctx context.Context, archive io.Reader, repository, tag string, changes []string) error {
	query := url.Values{"fromSrc": {"-"}, "repo": {repository}, "tag": {tag}, "changes": changes}
	header := http.Header{"Content-Type": {"application/x-tar"}}
	response, err := c.send(ctx, http.MethodPost, "/images/create", query, header, archive)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = progress(response.Body)
	return err
}

// TagImage gives an image another name.
func (c *Client) TagImage(ctx context.Context, name, repository, tag string) error {
	query := url.Values{"repo": {repository}, "tag": {tag}}
	return c.call(ctx, http.MethodPost, "/images/"+name+"/tag", query, nil, nil)
}

// progress reads what the engine tells during long work. Errors come in it, after a 200.
func progress(body io.Reader) ([]string, error) {
	var lines []string
	decoder := json.NewDecoder(body)
	for {
		var event struct {
			Stream string `json:"stream"`
			Error  string `json:"error"`
		}
		err := decoder.Decode(&event)
		switch {
		case errors.Is(err, io.EOF):
			return lines, nil
		case err != nil:
			return nil, fmt.Errorf("reading the engine's progress: %w", err)
		case event.Error != "":
			return nil, errors.New(event.Error)
		case event.Stream != "":
			lines = append(lines, event.Stream)
		}
	}
}
