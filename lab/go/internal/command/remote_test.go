package command_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"gitlab-runner-proxmox/lab/internal/command"
	"gitlab-runner-proxmox/lab/internal/command/sshtest"
	"gitlab-runner-proxmox/lab/internal/plugintest"
)

const (
	remoteType = "command:remote:Command"
	copyType   = "command:remote:CopyToRemote"
	localType  = "command:local:Command"
)

func start(t *testing.T) *plugintest.Engine {
	// A test sees no agent but the one that it brings.
	t.Setenv("SSH_AUTH_SOCK", "")
	return plugintest.Start(t, command.Name, command.Version, command.Provider)
}

// guest is an engine and a machine that it may log in to.
type guest struct {
	*plugintest.Engine
	*sshtest.Server
	key sshtest.Key
}

func machine(t *testing.T, settings sshtest.Settings) guest {
	t.Helper()
	key := sshtest.NewKey(t, "")
	settings.Authorized = key.Signer.PublicKey()
	return guest{start(t), sshtest.Start(t, settings), key}
}

// connection is how to reach the machine; a nil takes a setting away.
func (g guest) connection(more map[string]any) map[string]any {
	return with(map[string]any{
		"host": "127.0.0.1", "port": g.Port, "privateKey": g.key.PEM, "hostKey": g.HostKey, "dialErrorLimit": 0,
	}, more)
}

func with(values, more map[string]any) map[string]any {
	for name, value := range more {
		if value == nil {
			delete(values, name)
		} else {
			values[name] = value
		}
	}
	return values
}

func (g guest) inputs(more map[string]any) property.Map {
	return plugintest.Map(with(map[string]any{"connection": g.connection(nil)}, more))
}

func mustContain(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want %q in it", err, part)
		}
	}
}

func TestCommandsRunInTheirTurn(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	made := g.Up(remoteType, g.inputs(map[string]any{"create": "echo one; echo two >&2", "delete": "echo end"}))
	if !regexp.MustCompile(`^[0-9a-f]{8}$`).MatchString(made.ID) {
		t.Errorf("id %q", made.ID)
	}
	if out, err := made.State.Get("stdout").AsString(), made.State.Get("stderr").AsString(); out != "one" || err != "two" {
		t.Errorf("stdout %q, stderr %q", out, err)
	}
	made.UpdateTo(g.inputs(map[string]any{"create": "echo again", "delete": "echo end"}))
	made.UpdateTo(g.inputs(map[string]any{"create": "echo again", "update": "echo changed", "delete": "echo end"}))
	if out := made.State.Get("stdout").AsString(); out != "changed" {
		t.Errorf("after the update: %q", out)
	}
	if err := made.TryDelete(); err != nil {
		t.Fatal(err)
	}
	want := []string{"echo one; echo two >&2", "echo again", "echo changed", "echo end"}
	if got := g.Commands(); !slices.Equal(got, want) {
		t.Errorf("ran %q, want %q", got, want)
	}
	if users := g.Logins(); users[0] != "root" {
		t.Errorf("logged in as %v, want root by default", users)
	}
}

func TestWithoutCommandsNothingConnects(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	made := g.Up(remoteType, g.inputs(nil))
	if err := made.TryDelete(); err != nil || len(g.Logins()) != 0 {
		t.Errorf("%v, %v", err, g.Logins())
	}
}

func TestAPreviewRunsNothing(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	create := map[string]any{"create": "echo one"}
	if planned := g.PreviewCreate(remoteType, g.inputs(create)); !planned.Get("stdout").HasComputed() {
		t.Errorf("a preview knows stdout: %v", planned)
	}
	made := g.Up(remoteType, g.inputs(create))
	before := len(g.Logins())
	planned, err := made.TryUpdate(g.inputs(map[string]any{"create": "echo two"}), true)
	if err != nil || !planned.Get("stdout").HasComputed() || len(g.Logins()) != before {
		t.Errorf("%v, %v, %d logins", planned, err, len(g.Logins())-before)
	}
}

func TestStdinArrivesAndStaysSecret(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	inputs := g.inputs(map[string]any{"create": "cat"}).Set("stdin", property.New("s3cr3t").WithSecret(true))
	made := g.Up(remoteType, inputs)
	if out := made.State.Get("stdout"); out.AsString() != "s3cr3t" || out.Secret() {
		t.Errorf("stdout: %v", out)
	}
	if !made.State.Get("stdin").Secret() || !made.Inputs.Get("stdin").Secret() {
		t.Error("stdin is not secret")
	}
	if !made.State.Get("connection").Secret() || !made.Inputs.Get("connection").Secret() {
		t.Error("the connection is not secret")
	}
}

func TestTriggersReplaceAndTheRestDoesNot(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	schema := map[string]any{"create": "true", "triggers": []any{"one"}}
	made := g.Up(remoteType, g.inputs(schema))
	if diff := made.DiffTo(g.inputs(schema)); diff.HasChanges {
		t.Errorf("the same: %+v", diff)
	}
	for name, more := range map[string]map[string]any{
		"create":     {"create": "false"},
		"connection": {"connection": g.connection(map[string]any{"dialErrorLimit": 3})},
		"stdin":      {"stdin": "x"},
	} {
		if diff := made.DiffTo(g.inputs(with(map[string]any{"create": "true", "triggers": []any{"one"}}, more))); !diff.HasChanges ||
			plugintest.Replaces(diff) {
			t.Errorf("%s: %+v", name, diff)
		}
	}
	// An element is "triggers[0]", which the SDK's replaceOnChanges "triggers[*]" turns into a
	// replacement; that the list itself replaces is in the schema.
	diff := made.DiffTo(g.inputs(map[string]any{"create": "true", "triggers": []any{"two"}}))
	if _, ok := diff.DetailedDiff["triggers[0]"]; !ok || len(diff.DetailedDiff) != 1 {
		t.Errorf("triggers: %+v", diff)
	}
}

func TestAFailureTellsStatusCommandAndOutput(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	line := "echo out; sleep 0.1; echo err >&2; exit 3"
	_, err := g.TryUp(remoteType, g.inputs(map[string]any{"create": line}))
	if want := fmt.Sprintf("Process exited with status 3: running %q:\nout\nerr\n", line); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	made := g.Up(remoteType, g.inputs(map[string]any{"create": "echo fine", "delete": "exit 4"}))
	if _, err := made.TryUpdate(g.inputs(map[string]any{"create": "exit 5"}), false); err == nil {
		t.Error("a failed update is no error")
	}
	mustContain(t, made.TryDelete(), `Process exited with status 4: running "exit 4":`)
}

func TestTheEnvironmentGoesBySetenv(t *testing.T) {
	logs := plugintest.Logs(t)
	g := machine(t, sshtest.Settings{AcceptEnv: []string{"FOO"}})
	made := g.Up(remoteType, g.inputs(map[string]any{
		"create": "echo $FOO", "environment": map[string]any{"FOO": "bar"},
	}))
	if out := made.State.Get("stdout").AsString(); out != "bar" {
		t.Errorf("stdout %q", out)
	}
	_, err := g.TryUp(remoteType, g.inputs(map[string]any{"create": "true", "environment": map[string]any{"BAR": "x"}}))
	if want := `could not set environment variable "BAR": ssh: setenv failed`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if !strings.Contains(logs.String(), "Unable to set 'BAR'") || !strings.Contains(logs.String(), "AcceptEnv") {
		t.Errorf("no hint in %s", logs)
	}
}

func TestThePreviousOutputIsOfferedAndOnlyWarnedOf(t *testing.T) {
	for _, test := range []struct {
		name    string
		accept  []string
		wanted  any
		out     string
		warning bool
	}{
		{"accepted", []string{"PULUMI_COMMAND_STDOUT", "PULUMI_COMMAND_STDERR"}, nil, "before:warned", false},
		{"not accepted", nil, nil, ":", true},
		{"not wanted", []string{"PULUMI_COMMAND_STDOUT", "PULUMI_COMMAND_STDERR"}, false, ":", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			logs := plugintest.Logs(t)
			g := machine(t, sshtest.Settings{AcceptEnv: test.accept})
			made := g.Up(remoteType, g.inputs(map[string]any{"create": "echo before; echo warned >&2"}))
			made.UpdateTo(g.inputs(map[string]any{
				"create": "echo $PULUMI_COMMAND_STDOUT:$PULUMI_COMMAND_STDERR", "addPreviousOutputInEnv": test.wanted,
			}))
			if out := made.State.Get("stdout").AsString(); out != test.out {
				t.Errorf("stdout %q, want %q", out, test.out)
			}
			if warned := strings.Contains(logs.String(), "Unable to set 'PULUMI_COMMAND_STDOUT'"); warned != test.warning {
				t.Errorf("warned: %v, want %v; log: %s", warned, test.warning, logs)
			}
		})
	}
}

func TestLoggingShowsTheChosenStreams(t *testing.T) {
	for _, test := range []struct {
		logging  any
		out, err bool
	}{
		{nil, true, true},
		{"stdoutAndStderr", true, true},
		{"stdout", true, false},
		{"stderr", false, true},
		{"none", false, false},
	} {
		t.Run(fmt.Sprint(test.logging), func(t *testing.T) {
			logs := plugintest.Logs(t)
			g := machine(t, sshtest.Settings{})
			made := g.Up(remoteType, g.inputs(map[string]any{
				"create": "echo the-out; printf the-err >&2", "logging": test.logging,
			}))
			if out, err := strings.Contains(logs.String(), "the-out"), strings.Contains(logs.String(), "the-err"); out != test.out || err != test.err {
				t.Errorf("shown: %v, %v; log: %s", out, err, logs)
			}
			if made.State.Get("stdout").AsString() != "the-out" || made.State.Get("stderr").AsString() != "the-err" {
				t.Errorf("kept: %v", made.State)
			}
		})
	}
}

func TestTheHostKeyIsVerified(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	other := sshtest.NewKey(t, "").Public
	_, err := g.TryUp(remoteType, g.inputs(map[string]any{
		"create": "true", "connection": g.connection(map[string]any{"hostKey": other, "dialErrorLimit": 2}),
	}))
	if want := "after 2 failed attempts: ssh: handshake failed: ssh: host key mismatch"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = g.TryUp(remoteType, g.inputs(map[string]any{
		"create": "true", "connection": g.connection(map[string]any{"hostKey": "nonsense"}),
	}))
	mustContain(t, err, "failed to parse host key")
	// Without one, any key is taken.
	g.Up(remoteType, g.inputs(map[string]any{"create": "true", "connection": g.connection(map[string]any{"hostKey": nil})}))
}

func TestDialsAreTriedAgain(t *testing.T) {
	for _, test := range []struct {
		limit     int
		refuse    int
		connected bool
	}{
		{0, 0, true},
		{0, 1, false},
		{2, 2, true},
		{2, 3, false},
		{-1, 4, true},
	} {
		g := machine(t, sshtest.Settings{Refuse: test.refuse})
		_, err := g.TryUp(remoteType, g.inputs(map[string]any{
			"create": "true", "connection": g.connection(map[string]any{"dialErrorLimit": test.limit}),
		}))
		if (err == nil) != test.connected {
			t.Errorf("limit %d, refused %d times: %v", test.limit, test.refuse, err)
		}
		if !test.connected {
			mustContain(t, err, fmt.Sprintf("after %d failed attempts: ssh: handshake failed:", test.limit))
		}
	}
}

func TestPausesGrow(t *testing.T) {
	logs := plugintest.Logs(t)
	g := machine(t, sshtest.Settings{Refuse: 100})
	began := time.Now()
	_, err := g.TryUp(remoteType, g.inputs(map[string]any{
		"create": "true", "connection": g.connection(map[string]any{"dialErrorLimit": 3}),
	}))
	mustContain(t, err, "after 3 failed attempts")
	// 100 + 150 + 225 ms.
	if waited := time.Since(began); waited < 475*time.Millisecond || waited > 3*time.Second {
		t.Errorf("took %s", waited)
	}
	if !strings.Contains(logs.String(), "Dial 3/3 failed: retrying") {
		t.Errorf("log: %s", logs)
	}
}

func TestARefusedConnectionSaysSo(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	_, err = g.TryUp(remoteType, g.inputs(map[string]any{
		"create": "true", "connection": g.connection(map[string]any{"port": port, "dialErrorLimit": 1}),
	}))
	want := fmt.Sprintf("after 1 failed attempts: dial tcp 127.0.0.1:%d: connect: connection refused", port)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestWaysToLogIn(t *testing.T) {
	t.Run("an encrypted key", func(t *testing.T) {
		g := guest{start(t), nil, sshtest.NewKey(t, "a passphrase")}
		g.Server = sshtest.Start(t, sshtest.Settings{Authorized: g.key.Signer.PublicKey()})
		_, err := g.TryUp(remoteType, g.inputs(map[string]any{"create": "true"}))
		mustContain(t, err, "passphrase protected")
		g.Up(remoteType, g.inputs(map[string]any{
			"create": "true", "connection": g.connection(map[string]any{"privateKeyPassword": "a passphrase", "user": "ops"}),
		}))
		if got := g.Logins(); !slices.Equal(got, []string{"ops"}) {
			t.Errorf("logins: %v", got)
		}
	})
	t.Run("a password", func(t *testing.T) {
		g := guest{start(t), sshtest.Start(t, sshtest.Settings{Password: "a password"}), sshtest.Key{}}
		login := func(password string) map[string]any {
			return g.connection(map[string]any{"privateKey": nil, "password": password})
		}
		g.Up(remoteType, g.inputs(map[string]any{"create": "true", "connection": login("a password")}))
		_, err := g.TryUp(remoteType, g.inputs(map[string]any{"create": "true", "connection": login("another")}))
		mustContain(t, err, "after 0 failed attempts: ssh: handshake failed: ssh: unable to authenticate")
	})
	t.Run("an agent", func(t *testing.T) {
		g := machine(t, sshtest.Settings{})
		socket := serveAgent(t, g.key)
		without := map[string]any{"privateKey": nil}
		_, err := g.TryUp(remoteType, g.inputs(map[string]any{"create": "true", "connection": g.connection(without)}))
		mustContain(t, err, "unable to authenticate")
		g.Up(remoteType, g.inputs(map[string]any{
			"create": "true", "connection": g.connection(map[string]any{"privateKey": nil, "agentSocketPath": socket}),
		}))
		t.Setenv("SSH_AUTH_SOCK", socket)
		g.Up(remoteType, g.inputs(map[string]any{"create": "true", "connection": g.connection(without)}))
		// A socket that is named and not there is an error, even beside a key.
		t.Setenv("SSH_AUTH_SOCK", socket+"-gone")
		_, err = g.TryUp(remoteType, g.inputs(map[string]any{"create": "true"}))
		mustContain(t, err, "dial unix", "no such file")
	})
}

func serveAgent(t *testing.T, key sshtest.Key) string {
	t.Helper()
	keyring := agent.NewKeyring()
	private, err := ssh.ParseRawPrivateKey([]byte(key.PEM))
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.Add(agent.AddedKey{PrivateKey: private}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(keyring, conn) }()
		}
	}()
	return socket
}

func TestABastionHasItsOwnKeys(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	bastionKey := sshtest.NewKey(t, "")
	bastion := sshtest.Start(t, sshtest.Settings{Authorized: bastionKey.Signer.PublicKey()})
	through := func(more map[string]any) property.Map {
		return g.inputs(map[string]any{"create": "echo hello", "connection": g.connection(map[string]any{
			"proxy": with(map[string]any{
				"host": "127.0.0.1", "port": bastion.Port, "user": "jump", "privateKey": bastionKey.PEM,
				"hostKey": bastion.HostKey, "dialErrorLimit": 1,
			}, more),
		})})
	}
	made := g.Up(remoteType, through(nil))
	if out := made.State.Get("stdout").AsString(); out != "hello" {
		t.Errorf("stdout %q", out)
	}
	if jumped, arrived := bastion.Logins(), g.Logins(); !slices.Equal(jumped, []string{"jump"}) || !slices.Equal(arrived, []string{"root"}) {
		t.Errorf("logins: %v, %v", jumped, arrived)
	}
	_, err := g.TryUp(remoteType, through(map[string]any{"hostKey": g.HostKey}))
	if want := "proxy: after 1 failed attempts: ssh: handshake failed: ssh: host key mismatch"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = g.TryUp(remoteType, through(map[string]any{"privateKey": g.key.PEM}))
	mustContain(t, err, "proxy: after 1 failed attempts: ssh: handshake failed: ssh: unable to authenticate")
	// The machine's own key is looked at behind the bastion too.
	_, err = g.TryUp(remoteType, g.inputs(map[string]any{"create": "true", "connection": g.connection(map[string]any{
		"hostKey": bastion.HostKey,
		"proxy": map[string]any{
			"host": "127.0.0.1", "port": bastion.Port, "privateKey": bastionKey.PEM, "hostKey": bastion.HostKey,
		},
	})}))
	mustContain(t, err, "proxy: after 0 failed attempts: ssh: handshake failed: ssh: host key mismatch")
}

func TestCopies(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	source := t.TempDir()
	steps := filepath.Join(source, "steps")
	plugintest.WriteFiles(t, steps, map[string]string{"run.sh": "run", "deep/more": "more"})
	if err := os.Chmod(filepath.Join(steps, "run.sh"), 0o755); err != nil {
		t.Fatal(err)
	}
	packed := plugintest.Tar(t, source)
	packedText := plugintest.ReadFiles(t, filepath.Dir(packed))[filepath.Base(packed)]
	for _, test := range []struct {
		name   string
		source any
		before map[string]string
		path   string
		want   map[string]string
		fails  string
	}{
		{"a text", plugintest.Text(t, "hello"), nil, "a/b/text", map[string]string{"a/b/text": "hello"}, ""},
		{"a text over a file", plugintest.Text(t, "hello"), map[string]string{"text": "a longer text"}, "text",
			map[string]string{"text": "hello"}, ""},
		{"a text into a folder", plugintest.Text(t, "hello"), map[string]string{"a/x": ""}, "a", nil, "is a directory"},
		{"a file", plugintest.File(t, filepath.Join(steps, "run.sh")), nil, "a/b/file", map[string]string{"a/b/file": "run"}, ""},
		{"a file into a folder", plugintest.File(t, filepath.Join(steps, "run.sh")), map[string]string{"a/x": ""}, "a",
			map[string]string{"a/x": "", "a/run.sh": "run"}, ""},
		{"an archive that is a file", plugintest.Archive(t, packed), nil, "a/it.tar.gz",
			map[string]string{"a/it.tar.gz": packedText}, ""},
		{"a folder", plugintest.Archive(t, steps), nil, "a/b",
			map[string]string{"a/b/steps/run.sh": "run", "a/b/steps/deep/more": "more"}, ""},
		{"a folder into a folder", plugintest.Archive(t, steps), map[string]string{"a/steps/old": "old"}, "a",
			map[string]string{"a/steps/old": "old", "a/steps/run.sh": "run", "a/steps/deep/more": "more"}, ""},
		{"the content of a folder", plugintest.Archive(t, steps+"/"), nil, "a/b",
			map[string]string{"a/b/run.sh": "run", "a/b/deep/more": "more"}, ""},
		{"the content into a folder", plugintest.Archive(t, steps+"/"), map[string]string{"a/old": "old"}, "a",
			map[string]string{"a/old": "old", "a/run.sh": "run", "a/deep/more": "more"}, ""},
		{"a folder over a file", plugintest.Archive(t, steps), map[string]string{"a": "file"}, "a", nil,
			"exists but is not a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := t.TempDir()
			plugintest.WriteFiles(t, target, test.before)
			_, err := g.TryUp(copyType, g.inputs(map[string]any{
				"source": test.source, "remotePath": filepath.Join(target, test.path),
			}))
			if test.fails != "" {
				mustContain(t, err, test.fails)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := plugintest.ReadFiles(t, target); fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	target := t.TempDir()
	g.Up(copyType, g.inputs(map[string]any{"source": plugintest.Archive(t, steps), "remotePath": target}))
	info, err := os.Stat(filepath.Join(target, "steps", "run.sh"))
	if err != nil || info.Mode()&0o111 != 0 {
		t.Errorf("a mode is kept: %v, %v", info.Mode(), err)
	}
}

func TestCopiesAreMadeAgainForAnotherSourceOrPathOnly(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	target := t.TempDir()
	inputs := func(text, path string, limit int) property.Map {
		return g.inputs(map[string]any{
			"connection": g.connection(map[string]any{"dialErrorLimit": limit}),
			"source":     plugintest.Text(t, text), "remotePath": filepath.Join(target, path),
		})
	}
	made := g.Up(copyType, inputs("one", "a", 0))
	for _, test := range []struct {
		name        string
		inputs      property.Map
		connections int
	}{
		{"another connection", inputs("one", "a", 5), 0},
		{"another text", inputs("two", "a", 5), 1},
		{"another path", inputs("two", "b", 5), 1},
	} {
		before := len(g.Logins())
		if diff := made.DiffTo(test.inputs); !diff.HasChanges || plugintest.Replaces(diff) {
			t.Errorf("%s: %+v", test.name, diff)
		}
		made.UpdateTo(test.inputs)
		if got := len(g.Logins()) - before; got != test.connections {
			t.Errorf("%s: %d connections, want %d", test.name, got, test.connections)
		}
	}
	if err := made.TryDelete(); err != nil {
		t.Error(err)
	}
	if got := plugintest.ReadFiles(t, target); fmt.Sprint(got) != "map[a:two b:two]" {
		t.Errorf("what was copied before does not stay: %v", got)
	}
}

func TestWhatCannotBeCopiedIsRefusedInThePreview(t *testing.T) {
	g := machine(t, sshtest.Settings{})
	for _, test := range []struct {
		name   string
		source any
		want   p.CheckFailure
	}{
		{"an archive of assets", plugintest.AssetArchive(t, "a", "text"),
			p.CheckFailure{Property: "archive", Reason: "archive must be a path to a file or directory"}},
		{"a URL", plugintest.URL(t, "https://example.org/file"),
			p.CheckFailure{Property: "asset", Reason: "asset must be a path-based file asset or a text asset"}},
	} {
		failures := g.Refused(copyType, g.inputs(map[string]any{"source": test.source, "remotePath": "x"}))
		if len(failures) != 1 || failures[0] != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, failures, test.want)
		}
	}
	unknown := g.inputs(map[string]any{"remotePath": "x"}).Set("source", property.New(property.Computed))
	if failures := g.Refused(copyType, unknown); len(failures) != 0 {
		t.Errorf("a source that is not known yet: %+v", failures)
	}
}

func TestTheSchemaIsThePublishedOne(t *testing.T) {
	start(t).EqualsPublished("command-1.2.1.json", plugintest.Parts{
		Resources: []string{remoteType, copyType, localType},
		Types: []string{
			"command:remote:Connection", "command:remote:ProxyConnection", "command:remote:Logging", "command:local:Logging",
		},
	})
}
