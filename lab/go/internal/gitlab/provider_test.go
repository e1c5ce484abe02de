package gitlab_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"gitlab-runner-proxmox/lab/internal/gitlab"
	"gitlab-runner-proxmox/lab/internal/plugintest"
)

const runnerType = "gitlab:index/userRunner:UserRunner"

func start(t *testing.T) *plugintest.Engine {
	engine := plugintest.Start(t, gitlab.Name, gitlab.Version, gitlab.Provider)
	engine.DiffsState = true
	return engine
}

// connect gives a provider that is configured for a new server.
func connect(t *testing.T) (*plugintest.Engine, *server) {
	t.Helper()
	server := newServer(t, httptest.NewServer)
	engine := start(t)
	if err := configure(engine, map[string]any{
		"baseUrl": server.URL + "/api/v4/", "token": token, "earlyAuthCheck": false, "retries": 2,
	}); err != nil {
		t.Fatal(err)
	}
	return engine, server
}

func configure(engine *plugintest.Engine, settings map[string]any) error {
	return engine.Configure(p.ConfigureRequest{Args: plugintest.Map(settings)})
}

func project(more map[string]any) property.Map {
	inputs := map[string]any{
		"runnerType": "project_type", "projectId": 7, "description": "ci-01", "untagged": false, "locked": true,
		"tagLists": []any{"ci", "docker"}, "accessLevel": "ref_protected", "maximumTimeout": 3600,
		"maintenanceNote": "a note",
	}
	for key, value := range more {
		inputs[key] = value
	}
	return plugintest.Map(inputs)
}

func TestARecordIsMadeReadChangedAndRemoved(t *testing.T) {
	engine, server := connect(t)
	made := engine.Up(runnerType, project(nil))
	if got := server.seen(); !slices.Equal(got, []string{"POST /user/runners", "GET /runners/42"}) {
		t.Errorf("create: %v", got)
	}
	for key, want := range map[string]any{
		"runner_type": "project_type", "project_id": 7.0, "run_untagged": false, "locked": true, "maximum_timeout": 3600.0,
	} {
		if got := server.lastBody()[key]; got != want {
			t.Errorf("create sends %s %v, want %v", key, got, want)
		}
	}
	if _, sent := server.lastBody()["paused"]; sent {
		t.Error("create sends what the program does not say")
	}
	if secret := made.State.Get("token"); !secret.Secret() || secret.AsString() != "glrt-secret-42" || made.ID != "42" {
		t.Errorf("id %s, token %v", made.ID, secret)
	}
	if made.State.Get("paused").AsBool() {
		t.Error("what GitLab decides is not in the state")
	}

	changed := project(map[string]any{"description": "other", "paused": true, "tagLists": []any{"docker", "more"}})
	if diff := made.DiffTo(changed); !diff.HasChanges || plugintest.Replaces(diff) || len(diff.DetailedDiff) != 3 {
		t.Errorf("diff: %+v", diff)
	}
	made.UpdateTo(changed)
	if got := server.seen(); !slices.Equal(got, []string{"PUT /runners/42"}) {
		t.Errorf("update: %v", got)
	}
	if made.State.Get("token").AsString() != "glrt-secret-42" || made.State.Get("description").AsString() != "other" {
		t.Errorf("after the update: %v", made.State)
	}
	if err := made.TryDelete(); err != nil || len(server.runners) != 0 {
		t.Errorf("delete: %v, %v", err, server.runners)
	}
}

func TestWhatReplacesAndWhatIsNoChange(t *testing.T) {
	engine, _ := connect(t)
	made := engine.Up(runnerType, project(nil))
	for _, test := range []struct {
		name              string
		inputs            property.Map
		changes, replaces bool
	}{
		{"nothing", project(nil), false, false},
		{"another order of tags", project(map[string]any{"tagLists": []any{"docker", "ci"}}), false, false},
		{"less said", plugintest.Map(map[string]any{"runnerType": "project_type", "projectId": 7}), false, false},
		{"another project", project(map[string]any{"projectId": 8}), true, true},
		{"another type", plugintest.Map(map[string]any{"runnerType": "group_type", "groupId": 3}), true, true},
		{"another level", project(map[string]any{"accessLevel": "not_protected"}), true, false},
		{"another limit", project(map[string]any{"maximumTimeout": 600}), true, false},
	} {
		if diff := made.DiffTo(test.inputs); diff.HasChanges != test.changes || plugintest.Replaces(diff) != test.replaces {
			t.Errorf("%s: %+v", test.name, diff)
		}
	}
}

func TestAPreviewAsksNothingAndKeepsWhatIsKnown(t *testing.T) {
	engine, server := connect(t)
	planned := engine.PreviewCreate(runnerType, project(nil))
	if len(server.seen()) != 0 {
		t.Error("a preview asks GitLab")
	}
	if _, known := planned.GetOk("token"); known {
		t.Error("a preview knows a token")
	}
	if paused := planned.Get("paused"); !paused.HasComputed() {
		t.Errorf("a preview knows paused: %v", paused)
	}
	made := engine.Up(runnerType, project(nil))
	server.seen()
	planned, err := made.TryUpdate(project(map[string]any{"description": "other"}), true)
	if err != nil || len(server.seen()) != 0 {
		t.Error("a preview of an update asks GitLab", err)
	}
	if token := planned.Get("token"); token.HasComputed() || token.AsString() != "glrt-secret-42" {
		t.Errorf("a new description makes the token unknown: %v", token)
	}
}

func TestARefreshSeesDriftAndWhatIsGone(t *testing.T) {
	engine, server := connect(t)
	made := engine.Up(runnerType, project(nil))
	server.runners[42]["paused"] = true
	server.runners[42]["description"] = "by hand"
	server.runners[42]["tag_list"] = []any{"docker", "ci"}
	if !made.Refresh() {
		t.Fatal("gone")
	}
	diff := made.DiffTo(project(nil))
	if len(diff.DetailedDiff) != 1 || diff.DetailedDiff["description"].Kind != p.Update {
		t.Errorf("drift: %+v", diff)
	}
	if !made.State.Get("paused").AsBool() || made.State.Get("token").AsString() != "glrt-secret-42" {
		t.Errorf("state: %v", made.State)
	}
	delete(server.runners, 42)
	if made.Refresh() {
		t.Error("a record that is gone stays in the state")
	}
}

func TestAnImportHasNoToken(t *testing.T) {
	engine, _ := connect(t)
	engine.Up(runnerType, project(nil))
	read, err := engine.Read(p.ReadRequest{ID: "42", Urn: plugintest.URN(runnerType, "it")})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := read.Properties.GetOk("token"); ok {
		t.Error("an import knows a token")
	}
	if read.Inputs.Get("projectId").AsNumber() != 7 || read.Inputs.Get("description").AsString() != "ci-01" {
		t.Errorf("inputs: %v", read.Inputs)
	}
}

func TestARecordThatCannotBeReadIsKept(t *testing.T) {
	engine, server := connect(t)
	server.fail(200, 403)
	created, err := engine.Create(p.CreateRequest{
		Urn: plugintest.URN(runnerType, "it"), Properties: engine.Checked(runnerType, project(nil)),
	})
	if created.ID != "42" || created.PartialState == nil ||
		!strings.Contains(created.PartialState.Reasons[0], "Error reading new GitLab runner after creation") {
		t.Errorf("%+v, %v", created, err)
	}
	if created.Properties.Get("token").AsString() != "glrt-secret-42" {
		t.Error("the token is lost")
	}
}

func TestErrorsAreInTheClientsStyle(t *testing.T) {
	engine, server := connect(t)
	_, err := engine.TryUp(runnerType, project(map[string]any{"description": "refused"}))
	want := "couldn't create new GitLab Runner: POST " + server.URL + "/api/v4/user/runners: 400 {message: {tags: [are missing]}}"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("create: %v, want %s", err, want)
	}
	made := engine.Up(runnerType, project(nil))
	server.fail(403)
	_, err = made.TryUpdate(project(map[string]any{"paused": true}), false)
	want = "Error updating GitLab runner 42: PUT " + server.URL + "/api/v4/runners/42: 403 {message: 403 on request}"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("update: %v, want %s", err, want)
	}
	delete(server.runners, 42)
	if err := made.TryDelete(); err == nil || !strings.Contains(err.Error(), "Unable to delete runner: 404 Not Found") {
		t.Errorf("delete: %v", err)
	}
}

func TestWhatGitLabWouldNotTakeIsRefused(t *testing.T) {
	engine := start(t)
	for _, test := range []struct {
		name     string
		inputs   property.Map
		property string
		reason   string
	}{
		{"no project", plugintest.Map(map[string]any{"runnerType": "project_type"}), "projectId", "Project ID not provided"},
		{"no group", plugintest.Map(map[string]any{"runnerType": "group_type"}), "groupId", "Group ID not provided"},
		{"group for a project", project(map[string]any{"groupId": 1}), "groupId", "must not be provided"},
		{"project for a group", plugintest.Map(map[string]any{"runnerType": "group_type", "groupId": 1, "projectId": 1}),
			"projectId", "must not be provided"},
		{"project for the instance", plugintest.Map(map[string]any{"runnerType": "instance_type", "projectId": 1}),
			"runnerType", `set to "instance_type"`},
		{"no such type", plugintest.Map(map[string]any{"runnerType": "host_type"}), "runnerType",
			`must be one of: ["instance_type" "group_type" "project_type"], got: "host_type"`},
		{"no such level", project(map[string]any{"accessLevel": "open"}), "accessLevel", `got: "open"`},
		{"too short", project(map[string]any{"maximumTimeout": 599}), "maximumTimeout", "must be at least 600, got: 599"},
		{"too long a note", project(map[string]any{"maintenanceNote": strings.Repeat("ä", 1025)}), "maintenanceNote",
			"at most 1024"},
	} {
		failures := engine.Refused(runnerType, test.inputs)
		if len(failures) != 1 || failures[0].Property != test.property || !strings.Contains(failures[0].Reason, test.reason) {
			t.Errorf("%s: %+v", test.name, failures)
		}
	}
	unknown := project(nil).Set("projectId", property.New(property.Computed))
	if failures := engine.Refused(runnerType, unknown); len(failures) != 0 {
		t.Errorf("an id that is not known yet: %+v", failures)
	}
	if failures := engine.Refused(runnerType, project(map[string]any{"maintenanceNote": strings.Repeat("ä", 1024)})); len(failures) != 0 {
		t.Errorf("1024 characters: %+v", failures)
	}
}

func TestTheEarlyCheckAsksForTheUser(t *testing.T) {
	server := newServer(t, httptest.NewServer)
	settings := map[string]any{"baseUrl": server.URL + "/api/v4/", "token": token}
	if err := configure(start(t), settings); err != nil {
		t.Error(err)
	}
	if got := server.seen(); !slices.Equal(got, []string{"GET /user"}) {
		t.Errorf("by default: %v", got)
	}
	settings["token"] = "glpat-wrong"
	want := "GET " + server.URL + "/api/v4/user: 401 {message: 401 Unauthorized}"
	if err := configure(start(t), settings); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a wrong token: %v", err)
	}
	server.seen()
	settings["earlyAuthCheck"] = false
	if err := configure(start(t), settings); err != nil || len(server.seen()) != 0 {
		t.Errorf("turned off: %v", err)
	}
	delete(settings, "earlyAuthCheck")
	t.Setenv("GITLAB_EARLY_AUTH_CHECK", "false")
	if err := configure(start(t), settings); err != nil || len(server.seen()) != 0 {
		t.Errorf("turned off by the environment: %v", err)
	}
}

func TestTheEnvironmentFillsIn(t *testing.T) {
	server := newServer(t, httptest.NewServer)
	t.Setenv("GITLAB_BASE_URL", server.URL+"/api/v4/")
	t.Setenv("GITLAB_TOKEN", token)
	if err := configure(start(t), map[string]any{"headers": map[string]any{"X-Lab": "yes"}}); err != nil {
		t.Fatal(err)
	}
	if got := server.headers; got.Get("Authorization") != "Bearer "+token || got.Get("X-Lab") != "yes" {
		t.Errorf("headers: %v", got)
	}
	t.Setenv("GITLAB_TOKEN", "")
	if err := configure(start(t), nil); err == nil || !strings.Contains(err.Error(), "no token") {
		t.Errorf("without a token: %v", err)
	}
}

func TestBusyServersAreAskedAgain(t *testing.T) {
	for _, status := range []int{429, 500, 503} {
		engine, server := connect(t)
		server.fail(status, status)
		began := time.Now()
		engine.Up(runnerType, project(nil))
		if got := server.seen(); len(got) != 4 {
			t.Errorf("%d twice: %v", status, got)
		}
		if waited := time.Since(began); waited < 200*time.Millisecond {
			t.Errorf("%d: asked again after %s", status, waited)
		}
	}
	engine, server := connect(t)
	server.fail(503, 503, 503)
	if _, err := engine.TryUp(runnerType, project(nil)); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("more often than retries says: %v", err)
	}
	server.fail(400)
	server.seen()
	if _, err := engine.TryUp(runnerType, project(nil)); err == nil || len(server.seen()) != 1 {
		t.Errorf("a refusal is asked again: %v", err)
	}
}

func TestOnlyTheGivenAuthorityIsTrusted(t *testing.T) {
	server := newServer(t, httptest.NewTLSServer)
	settings := map[string]any{"baseUrl": server.URL + "/api/v4/", "token": token, "retries": 0}
	if err := configure(start(t), settings); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	settings["cacertFile"] = file
	if err := configure(start(t), settings); err != nil {
		t.Errorf("the given authority: %v", err)
	}
	delete(settings, "cacertFile")
	settings["insecure"] = true
	if err := configure(start(t), settings); err != nil {
		t.Errorf("insecure: %v", err)
	}
	settings["cacertFile"] = filepath.Join(t.TempDir(), "missing.pem")
	if err := configure(start(t), settings); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestOtherSettingsNeverReplaceTheProvider(t *testing.T) {
	settings := func(token string) property.Map {
		return plugintest.Map(map[string]any{"baseUrl": "https://gitlab.lab.test/api/v4/", "token": token})
	}
	diff, err := start(t).DiffConfig(p.DiffRequest{
		Urn: plugintest.URN("pulumi:providers:gitlab", "gitlab"), State: settings("one"), OldInputs: settings("one"),
		Inputs: settings("two"),
	})
	if err != nil || !diff.HasChanges || plugintest.Replaces(diff) {
		t.Errorf("a new token: %+v, %v", diff, err)
	}
}

func TestTheSchemaIsThePublishedOne(t *testing.T) {
	start(t).EqualsPublished("gitlab-10.1.1.json", plugintest.Parts{
		Resources: []string{runnerType},
		Provider:  true,
		// An imported runner has none.
		MayLack: []string{"token"},
	})
}
