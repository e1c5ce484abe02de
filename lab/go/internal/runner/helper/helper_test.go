package helper

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// project makes a folder with files, and goes there.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o640))
	}
	t.Chdir(dir)
	return dir
}

func run(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = Main(append([]string{"gitlab-runner-helper"}, args...), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

func TestVersion(t *testing.T) {
	code, out := run(t, "--version")
	require.Zero(t, code)
	require.Contains(t, out, "Version:      19.3.0\n")
}

func TestRefusesUnknownFlags(t *testing.T) {
	code, out := run(t, "cache-extractor", "--bogus")
	require.Equal(t, 1, code)
	require.Contains(t, out, "flag provided but not defined: -bogus")
}

func TestSelectsFiles(t *testing.T) {
	project(t, map[string]string{"out/a.txt": "", "out/b.log": "", "out/sub/c.txt": "", "top.txt": "", "deep/x/y/z.txt": ""})
	for name, test := range map[string]struct {
		paths, exclude, want []string
	}{
		"a folder":              {[]string{"out/"}, nil, []string{"out", "out/a.txt", "out/b.log", "out/sub", "out/sub/c.txt"}},
		"without what is not":   {[]string{"out"}, []string{"out/*.log", "out/sub/**"}, []string{"out", "out/a.txt"}},
		"a glob":                {[]string{"*.txt"}, nil, []string{"top.txt"}},
		"a glob across folders": {[]string{"**/*.txt"}, nil, []string{"deep/x/y/z.txt", "out/a.txt", "out/sub/c.txt", "top.txt"}},
		"nothing":               {[]string{"none"}, nil, []string{}},
		"not what is outside":   {[]string{"../../etc/passwd", "/etc/passwd"}, nil, []string{}},
		"each once":             {[]string{"top.txt", "*.txt"}, nil, []string{"top.txt"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &selection{paths: test.paths, exclude: test.exclude, dir: ".", say: func(string, ...any) {}}
			got, err := s.files()
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
}

func TestCacheComesBack(t *testing.T) {
	dir := project(t, map[string]string{"deps/run.sh": "#!/bin/sh\n", "deps/lib/x": "x"})
	require.NoError(t, os.Chmod("deps/run.sh", 0o755))
	require.NoError(t, os.Symlink("lib/x", "deps/link"))
	archive := filepath.Join(t.TempDir(), "key", "cache.zip")
	code, out := run(t, "cache-archiver", "--file", archive, "--timeout", "10", "--path", "deps/")
	require.Zero(t, code, out)
	require.Contains(t, out, "deps/: found 5 matching artifact files and directories")
	code, out = run(t, "cache-archiver", "--file", archive, "--path", "deps/")
	require.Zero(t, code, out)
	require.Contains(t, out, "Archive is up to date!")

	require.NoError(t, os.RemoveAll("deps"))
	code, out = run(t, "cache-extractor", "--file", archive, "--timeout", "10")
	require.Zero(t, code, out)
	info, err := os.Lstat(filepath.Join(dir, "deps/run.sh"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode())
	target, err := os.Readlink(filepath.Join(dir, "deps/link"))
	require.NoError(t, err)
	require.Equal(t, "lib/x", target)

	code, out = run(t, "cache-extractor", "--file", filepath.Join(dir, "none.zip"))
	require.Equal(t, 1, code)
	require.Contains(t, out, "Cache file does not exist")
}

func TestArchivesCannotLeaveTheProject(t *testing.T) {
	outside := t.TempDir()
	for name, fill := range map[string]func(*zip.Writer) error{
		"by their path": func(w *zip.Writer) error {
			_, err := w.Create("../evil")
			return err
		},
		"by an absolute path": func(w *zip.Writer) error {
			_, err := w.Create(filepath.Join(outside, "evil"))
			return err
		},
		"through a link": func(w *zip.Writer) error {
			header := &zip.FileHeader{Name: "link"}
			header.SetMode(os.ModeSymlink | 0o777)
			link, err := w.CreateHeader(header)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(link, outside); err != nil {
				return err
			}
			_, err = w.Create("link/evil")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := project(t, nil)
			file := filepath.Join(t.TempDir(), "evil.zip")
			out, err := os.Create(file)
			require.NoError(t, err)
			writer := zip.NewWriter(out)
			require.NoError(t, fill(writer))
			require.NoError(t, writer.Close())
			require.NoError(t, out.Close())
			require.Error(t, extractZip(file, dir))
			left, err := os.ReadDir(outside)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

// gitlab keeps one artifact of job 7.
type gitlab struct {
	*httptest.Server
	query    string
	name     string
	artifact []byte
	status   int
	tries    int
}

func newGitLab(t *testing.T) *gitlab {
	t.Helper()
	g := &gitlab{status: http.StatusCreated}
	g.Server = httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		g.tries++
		if request.Header.Get("Job-Token") != "glcbt-secret-of-the-job" || request.URL.Path != "/api/v4/jobs/7/artifacts" {
			writer.WriteHeader(http.StatusForbidden)
			return
		}
		if request.Method == http.MethodGet {
			_, _ = writer.Write(g.artifact)
			return
		}
		g.query = request.URL.RawQuery
		file, header, err := request.FormFile("file")
		if err != nil {
			writer.WriteHeader(http.StatusBadRequest)
			return
		}
		g.name = header.Filename
		g.artifact, _ = io.ReadAll(file)
		writer.WriteHeader(g.status)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gitlab) args(command string, more ...string) []string {
	return append([]string{command, "--url", g.URL, "--token", "glcbt-secret-of-the-job", "--id", "7"}, more...)
}

func TestArtifactsGoThereAndBack(t *testing.T) {
	g := newGitLab(t)
	project(t, map[string]string{"out/a.txt": "content", "out/b.log": "log"})
	code, out := run(t, g.args("artifacts-uploader", "--path", "out", "--exclude", "out/*.log", "--name", "build",
		"--expire-in", "1 week", "--artifact-format", "zip", "--artifact-type", "archive")...)
	require.Zero(t, code, out)
	require.Equal(t, "artifact_format=zip&artifact_type=archive&expire_in=1+week", g.query)
	require.Equal(t, "build.zip", g.name)
	require.Contains(t, out, `Uploading artifacts as "archive" to coordinator... 201 Created`)
	require.NotContains(t, out, "glcbt-secret-of-the-job")

	dir := project(t, nil)
	code, out = run(t, g.args("artifacts-downloader")...)
	require.Zero(t, code, out)
	text, err := os.ReadFile(filepath.Join(dir, "out/a.txt"))
	require.NoError(t, err)
	require.Equal(t, "content", string(text))
	_, err = os.Stat(filepath.Join(dir, "out/b.log"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestReportsAreGzipped(t *testing.T) {
	g := newGitLab(t)
	project(t, map[string]string{"a.env": "A=1\n", "b.env": "B=2\n"})
	code, out := run(t, g.args("artifacts-uploader", "--path", "*.env", "--name", ".env", "--artifact-format", "gzip", "--artifact-type", "dotenv")...)
	require.Zero(t, code, out)
	reader, err := gzip.NewReader(bytes.NewReader(g.artifact))
	require.NoError(t, err)
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.Equal(t, "A=1\nB=2\n", string(text))
}

func TestRawArtifactIsOneFile(t *testing.T) {
	g := newGitLab(t)
	project(t, map[string]string{"a.bin": "raw", "b.bin": "raw"})
	code, _ := run(t, g.args("artifacts-uploader", "--path", "a.bin", "--artifact-format", "raw")...)
	require.Zero(t, code)
	require.Equal(t, "a.bin", g.name)
	require.Equal(t, "raw", string(g.artifact))
}

func TestNoFilesIsNoFailure(t *testing.T) {
	g := newGitLab(t)
	project(t, nil)
	code, out := run(t, g.args("artifacts-uploader", "--path", "none")...)
	require.Zero(t, code)
	require.Contains(t, out, "none: no matching files")
	require.Contains(t, out, "ERROR: No files to upload")
	require.Zero(t, g.tries)
}

func TestRefusedArtifactsAreNotTriedAgain(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusRequestEntityTooLarge, http.StatusBadRequest} {
		g := newGitLab(t)
		g.status = status
		project(t, map[string]string{"a": "a"})
		code, out := run(t, g.args("artifacts-uploader", "--path", "a")...)
		require.Equal(t, 1, code)
		require.Contains(t, out, strconv.Itoa(status))
		require.Equal(t, 1, g.tries)
	}
	g := newGitLab(t)
	code, out := run(t, "artifacts-downloader", "--url", g.URL, "--token", "wrong", "--id", "7")
	require.Equal(t, 1, code)
	require.Contains(t, out, "403 Forbidden")
	code, out = run(t, "artifacts-downloader", "--url", g.URL)
	require.Equal(t, 1, code)
	require.Contains(t, out, "Missing runner credentials")
}

func TestCacheInit(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	code, _ := run(t, "cache-init", dir)
	require.Zero(t, code)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o777), info.Mode().Perm())
	code, _ = run(t, "cache-init")
	require.Equal(t, 1, code)
}

func TestHealthCheck(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	saved := environment
	t.Cleanup(func() { environment = saved })
	environment = func() []string { return []string{"WAIT_FOR_SERVICE_TCP_ADDR=127.0.0.1"} }
	code, out := run(t, "health-check", "--port", "1", "--port", port)
	require.Zero(t, code, out)
	require.Contains(t, out, "connected to 127.0.0.1:"+port)

	addresses, err := serviceAddresses(nil, []string{"X_PORT_1_TCP_ADDR=10.0.0.1", "X_PORT_1_TCP_PORT=80"})
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1:80"}, addresses)
	for _, env := range [][]string{nil, {"X_TCP_ADDR=10.0.0.1"}} {
		_, err = serviceAddresses(nil, env)
		require.Error(t, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, waitForAny(ctx, []string{"127.0.0.1:1"}, func(string) {}), context.DeadlineExceeded)
}
