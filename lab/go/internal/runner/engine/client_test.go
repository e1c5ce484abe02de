package engine

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// serve puts an engine behind a socket, as Docker's is.
func serve(t *testing.T, version string, routes map[string]http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /version", func(writer http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(writer, `{"ApiVersion":"`+version+`"}`)
	})
	for route, handler := range routes {
		mux.HandleFunc(route, handler)
	}
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	server.Start()
	t.Cleanup(server.Close)
	client, err := Connect(t.Context(), Options{Host: "unix://" + socket})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func TestAgreesOnAVersion(t *testing.T) {
	require.Equal(t, "1.41", serve(t, "1.41", nil).APIVersion)
	require.Equal(t, newest, serve(t, "1.99", nil).APIVersion)
}

func TestSaysWhenThereIsNoEngine(t *testing.T) {
	host := "unix://" + filepath.Join(t.TempDir(), "none.sock")
	_, err := Connect(t.Context(), Options{Host: host})
	require.EqualError(t, err, "Cannot connect to the Docker daemon at "+host+". Is the docker daemon running?")
	_, err = Connect(t.Context(), Options{Host: "nonsense"})
	require.ErrorContains(t, err, "unable to parse docker host")
	_, err = Connect(t.Context(), Options{Host: "ssh://x"})
	require.ErrorContains(t, err, "only unix and tcp")
}

func TestPassesOnTheEnginesWords(t *testing.T) {
	client := serve(t, "1.41", map[string]http.HandlerFunc{
		"POST /v1.41/containers/{id}/start": func(writer http.ResponseWriter, _ *http.Request) {
			writer.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(writer, `{"message":"NanoCPUs can not be set"}`)
		},
	})
	err := client.StartContainer(t.Context(), "x")
	require.EqualError(t, err, "Error response from daemon: NanoCPUs can not be set")
	require.False(t, IsNotFound(err))
	_, err = client.InspectImage(t.Context(), "none")
	require.True(t, IsNotFound(err))
}

func TestPull(t *testing.T) {
	var query, auth string
	progress := `{"status":"Pulling"}` + "\n" + `{"status":"Done"}`
	client := serve(t, "1.41", map[string]http.HandlerFunc{
		"POST /v1.41/images/create": func(writer http.ResponseWriter, request *http.Request) {
			query, auth = request.URL.RawQuery, request.Header.Get("X-Registry-Auth")
			_, _ = io.WriteString(writer, progress)
		},
	})
	require.NoError(t, client.PullImage(t.Context(), "host:5000/alpine", "linux/arm64", &Auth{Username: "u", Password: "p"}))
	require.Equal(t, "fromImage=host%3A5000%2Falpine%3Alatest&platform=linux%2Farm64", query)
	decoded, err := base64.URLEncoding.DecodeString(auth)
	require.NoError(t, err)
	require.JSONEq(t, `{"username":"u","password":"p","serveraddress":""}`, string(decoded))

	require.NoError(t, client.PullImage(t.Context(), "alpine@sha256:abc", "", nil))
	require.Equal(t, "fromImage=alpine%40sha256%3Aabc", query)
	require.Empty(t, auth)

	progress = `{"status":"Pulling"}{"error":"manifest unknown","errorDetail":{}}`
	require.EqualError(t, client.PullImage(t.Context(), "alpine:3", "", nil), "manifest unknown")
}

func TestLoad(t *testing.T) {
	answer := `{"stream":"Loaded image: helper:1\n"}`
	client := serve(t, "1.41", map[string]http.HandlerFunc{
		"POST /v1.41/images/load": func(writer http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(writer, answer) },
	})
	name, err := client.LoadImage(t.Context(), strings.NewReader("archive"))
	require.NoError(t, err)
	require.Equal(t, "helper:1", name)
	answer = `{"stream":"Loaded image ID: sha256:abc\n"}`
	name, err = client.LoadImage(t.Context(), strings.NewReader("archive"))
	require.NoError(t, err)
	require.Equal(t, "sha256:abc", name)
	answer = `{}`
	_, err = client.LoadImage(t.Context(), strings.NewReader("archive"))
	require.Error(t, err)
}

func TestWait(t *testing.T) {
	answer := `{"StatusCode":137}`
	client := serve(t, "1.41", map[string]http.HandlerFunc{
		"POST /v1.41/containers/{id}/wait": func(writer http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(writer, answer) },
	})
	code, err := client.WaitContainer(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, 137, code)
	answer = `{"StatusCode":1,"Error":{"Message":"lost"}}`
	_, err = client.WaitContainer(t.Context(), "x")
	require.EqualError(t, err, "lost")
}

// frame is a piece of output as the engine sends it.
func frame(stream byte, text string) string {
	return string([]byte{stream, 0, 0, 0, 0, 0, 0, byte(len(text))}) + text
}

func TestDemultiplexes(t *testing.T) {
	var out, problems bytes.Buffer
	require.NoError(t, Demultiplex(strings.NewReader(frame(1, "one")+frame(2, "bad")+frame(1, "two")), &out, &problems))
	require.Equal(t, "onetwo", out.String())
	require.Equal(t, "bad", problems.String())
	require.Error(t, Demultiplex(strings.NewReader(frame(9, "x")), &out, &problems))
	require.ErrorIs(t, Demultiplex(strings.NewReader(frame(1, "cut")[:9]), &out, &problems), io.ErrUnexpectedEOF)
}

func hijacked(writer http.ResponseWriter, use func(net.Conn)) {
	conn, _, err := http.NewResponseController(writer).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	use(conn)
}

func TestAttach(t *testing.T) {
	client := serve(t, "1.41", map[string]http.HandlerFunc{
		"POST /v1.41/containers/{id}/attach": func(writer http.ResponseWriter, request *http.Request) {
			if request.PathValue("id") == "none" {
				http.Error(writer, `{"message":"No such container: none"}`, http.StatusNotFound)
				return
			}
			hijacked(writer, func(conn net.Conn) {
				sent, _ := io.ReadAll(conn)
				_, _ = io.WriteString(conn, frame(1, "got "+string(sent)))
			})
		},
	})
	attached, err := client.Attach(t.Context(), "x")
	require.NoError(t, err)
	_, err = attached.Write([]byte("script"))
	require.NoError(t, err)
	require.NoError(t, attached.CloseWrite())
	var out bytes.Buffer
	require.NoError(t, attached.Copy(&out, io.Discard))
	require.Equal(t, "got script", out.String())
	require.NoError(t, attached.Close())
	_, err = client.Attach(t.Context(), "none")
	require.EqualError(t, err, "Error response from daemon: No such container: none")
}

func TestExec(t *testing.T) {
	client := serve(t, "1.41", map[string]http.HandlerFunc{
		"POST /v1.41/containers/{id}/exec": func(writer http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(writer, `{"Id":"e1"}`) },
		"POST /v1.41/exec/{id}/start": func(writer http.ResponseWriter, _ *http.Request) {
			hijacked(writer, func(conn net.Conn) { _, _ = io.WriteString(conn, frame(1, "done")) })
		},
		"GET /v1.41/exec/{id}/json": func(writer http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(writer, `{"ExitCode":3}`) },
	})
	var out bytes.Buffer
	code, err := client.Exec(context.Background(), "x", []string{"true"}, &out)
	require.NoError(t, err)
	require.Equal(t, 3, code)
	require.Equal(t, "done", out.String())
}
