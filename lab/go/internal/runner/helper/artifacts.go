package helper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"time"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/api"
)

const (
	artifactTries    = 3
	artifactPause    = 5 * time.Second
	defaultUpload    = time.Hour
	defaultName      = "default"
	defaultResponses = 10 * time.Minute
)

func jobFlags() []cli.Flag {
	return []cli.Flag{
		cli.StringFlag{Name: "url", Usage: "GitLab CI URL", EnvVar: "CI_SERVER_URL"},
		cli.StringFlag{Name: "token", Usage: "Job token", EnvVar: "CI_JOB_TOKEN"},
		cli.Int64Flag{Name: "id", Usage: "Job ID", EnvVar: "CI_JOB_ID"},
		cli.StringFlag{Name: "tls-ca-file", Usage: "File containing the certificates to verify the peer", EnvVar: "CI_SERVER_TLS_CA_FILE"},
	}
}

func jobOf(call *cli.Context) (*api.Server, api.JobRef, error) {
	server := &api.Server{URL: call.String("url"), CAFile: call.String("tls-ca-file")}
	job := api.JobRef{ID: call.Int64("id"), Token: call.String("token")}
	if server.URL == "" || job.Token == "" || job.ID <= 0 {
		return nil, job, errors.New("Missing runner credentials") //nolint:staticcheck // The real one's words.
	}
	return server, job, nil
}

type archiver struct {
	extension string
	write     func(io.Writer, string, []string) error
}

var archivers = map[string]archiver{
	"":     {".zip", writeZip},
	"zip":  {".zip", writeZip},
	"gzip": {".gz", writeGzip},
	"raw":  {"", writeRaw},
}

func (p *program) artifactsUploader() cli.Command {
	return cli.Command{
		Name:  "artifacts-uploader",
		Usage: "create and upload build artifacts (internal)",
		Flags: append(append(jobFlags(), selectionFlags()...),
			cli.StringFlag{Name: "name", Value: defaultName, Usage: "The name of the archive"},
			cli.StringFlag{Name: "expire-in", Usage: "When to expire artifacts"},
			cli.StringFlag{Name: "artifact-format", Usage: "Format of generated artifacts"},
			cli.StringFlag{Name: "artifact-type", Usage: "Type of generated artifacts"},
			cli.DurationFlag{Name: "timeout", Value: defaultUpload, Usage: "Overall timeout for the upload"},
			cli.DurationFlag{Name: "response-header-timeout", Value: defaultResponses, Usage: "Timeout for the answer's headers"},
		),
		Action: p.uploadArtifacts,
	}
}

func (p *program) uploadArtifacts(call *cli.Context) error {
	server, job, err := jobOf(call)
	if err != nil {
		return err
	}
	format := call.String("artifact-format")
	maker, ok := archivers[format]
	if !ok {
		return fmt.Errorf("unsupported archive format %q", format)
	}
	files, err := selectionOf(call, p.say).files()
	if err != nil {
		return err
	}
	if len(files) == 0 {
		p.say("ERROR: No files to upload")
		return nil
	}
	name := path.Base(call.String("name"))
	if maker.extension == "" && len(files) == 1 {
		name = path.Base(files[0])
	} else {
		name += maker.extension
	}
	query := url.Values{}
	for parameter, flag := range map[string]string{
		"artifact_format": "artifact-format", "artifact_type": "artifact-type", "expire_in": "expire-in",
	} {
		if value := call.String(flag); value != "" {
			query.Set(parameter, value)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), call.Duration("timeout"))
	defer cancel()
	kind := call.String("artifact-type")
	if kind == "" {
		kind = "archive"
	}
	return p.attempt(func() (bool, error) {
		answer, err := upload(ctx, server, job, query, name, func(out io.Writer) error {
			return maker.write(out, ".", files)
		})
		if err != nil {
			return true, err
		}
		what := fmt.Sprintf("Uploading artifacts as %q to coordinator...", kind)
		switch answer.status {
		case http.StatusCreated:
			p.say("%s 201 Created  id=%d responseStatus=%s token=%s", what, job.ID, answer.text, job.Token[:min(9, len(job.Token))])
			return false, nil
		case http.StatusForbidden:
			return false, fmt.Errorf("%s 403 Forbidden", what)
		case http.StatusRequestEntityTooLarge:
			return false, fmt.Errorf("%s 413 Request Entity Too Large", what)
		case http.StatusUnauthorized, http.StatusNotFound, http.StatusBadRequest:
			return false, fmt.Errorf("%s %s %s", what, answer.text, answer.body)
		}
		return true, fmt.Errorf("%s %s", what, answer.text)
	})
}

// attempt does something several times, while it says that another try may help.
func (p *program) attempt(do func() (again bool, err error)) error {
	for try := 1; ; try++ {
		again, err := do()
		if err == nil || !again || try == artifactTries {
			return err
		}
		p.log.WithError(err).Warning("Retrying...")
		time.Sleep(artifactPause)
	}
}

type answer struct {
	status int
	text   string
	body   string
}

// upload sends what write makes, while it is made.
func upload(ctx context.Context, server *api.Server, job api.JobRef, query url.Values, name string, write func(io.Writer) error) (answer, error) {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		part, err := form.CreateFormFile("file", name)
		if err == nil {
			err = write(part)
		}
		if err == nil {
			err = form.Close()
		}
		_ = writer.CloseWithError(err)
	}()
	response, err := api.Send(ctx, server, http.MethodPost, fmt.Sprintf("jobs/%d/artifacts?%s", job.ID, query.Encode()),
		http.Header{"Content-Type": {form.FormDataContentType()}, "Job-Token": {job.Token}}, reader)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 2048))
	return answer{response.StatusCode, response.Status, string(text)}, nil
}

func (p *program) artifactsDownloader() cli.Command {
	return cli.Command{
		Name:  "artifacts-downloader",
		Usage: "download and extract build artifacts (internal)",
		Flags: append(jobFlags(),
			cli.StringFlag{Name: "staging-dir", Usage: "Directory to stage artifact archives", EnvVar: "ARTIFACT_STAGING_DIR"},
		),
		Action: p.downloadArtifacts,
	}
}

func (p *program) downloadArtifacts(call *cli.Context) error {
	server, job, err := jobOf(call)
	if err != nil {
		return err
	}
	archive, err := os.CreateTemp(call.String("staging-dir"), "artifacts")
	if err != nil {
		return err
	}
	_ = archive.Close()
	defer os.Remove(archive.Name())
	err = p.attempt(func() (bool, error) { return p.download(server, job, archive.Name()) })
	if err != nil {
		return err
	}
	return extractZip(archive.Name(), ".")
}

func (p *program) download(server *api.Server, job api.JobRef, file string) (again bool, err error) {
	path := "jobs/" + strconv.FormatInt(job.ID, 10) + "/artifacts?direct_download=true"
	response, err := api.Send(context.Background(), server, http.MethodGet, path, http.Header{"Job-Token": {job.Token}}, nil)
	if err != nil {
		return true, err
	}
	defer response.Body.Close()
	what := "Downloading artifacts from coordinator..."
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusUnauthorized, http.StatusNotFound:
		return false, fmt.Errorf("%s %s", what, response.Status)
	default:
		return true, fmt.Errorf("%s %s", what, response.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(out, response.Body)
	if err := errors.Join(err, out.Close()); err != nil {
		return true, err
	}
	p.say("%s ok  id=%d responseStatus=%s token=%s", what, job.ID, response.Status, job.Token[:min(9, len(job.Token))])
	return false, nil
}
