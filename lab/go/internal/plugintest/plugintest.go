// Package plugintest serves a provider to tests as the Pulumi engine would see it.
package plugintest

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/blang/semver"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/integration"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

// Engine drives the resources of one provider.
type Engine struct {
	integration.Server
	t       *testing.T
	name    string
	version string
}

// Start serves a provider for the time of a test.
func Start(t *testing.T, name, version string, make func() (p.Provider, error)) *Engine {
	t.Helper()
	provider, err := make()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	server, err := integration.NewServer(ctx, name, semver.MustParse(version), integration.WithProvider(provider))
	if err != nil {
		t.Fatal(err)
	}
	return &Engine{Server: server, t: t, name: name, version: version}
}

// URN names a resource of the given type.
func URN(token, name string) resource.URN {
	return resource.NewURN("lab", "test", "", tokens.Type(token), name)
}

// Resource is one resource of a stack: what the program said, and what the state holds.
type Resource struct {
	engine *Engine
	urn    resource.URN
	ID     string
	Inputs property.Map
	State  property.Map
}

// Checked is what Check makes of the program's inputs; a failure ends the test.
func (e *Engine) Checked(token string, inputs property.Map) property.Map {
	e.t.Helper()
	response, err := e.Check(p.CheckRequest{Urn: URN(token, "it"), Inputs: inputs})
	if err != nil {
		e.t.Fatal(err)
	}
	if len(response.Failures) > 0 {
		e.t.Fatalf("refused: %+v", response.Failures)
	}
	return response.Inputs
}

// Refused gives what Check finds wrong with the program's inputs.
func (e *Engine) Refused(token string, inputs property.Map) []p.CheckFailure {
	e.t.Helper()
	response, err := e.Check(p.CheckRequest{Urn: URN(token, "it"), Inputs: inputs})
	if err != nil {
		e.t.Fatal(err)
	}
	return response.Failures
}

// PreviewCreate gives the outputs that a preview shows for a new resource.
func (e *Engine) PreviewCreate(token string, inputs property.Map) property.Map {
	e.t.Helper()
	response, err := e.Create(p.CreateRequest{
		Urn: URN(token, "it"), Properties: e.Checked(token, inputs), DryRun: true,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return response.Properties
}

// TryUp creates a resource, or says why that fails.
func (e *Engine) TryUp(token string, inputs property.Map) (*Resource, error) {
	e.t.Helper()
	checked := e.Checked(token, inputs)
	response, err := e.Create(p.CreateRequest{Urn: URN(token, "it"), Properties: checked})
	if err != nil {
		return nil, err
	}
	return &Resource{e, URN(token, "it"), response.ID, checked, response.Properties}, nil
}

// Up creates a resource; a failure ends the test.
func (e *Engine) Up(token string, inputs property.Map) *Resource {
	e.t.Helper()
	made, err := e.TryUp(token, inputs)
	if err != nil {
		e.t.Fatal(err)
	}
	return made
}

// DiffTo says how other inputs differ from the resource's.
func (r *Resource) DiffTo(inputs property.Map) p.DiffResponse {
	r.engine.t.Helper()
	response, err := r.engine.Diff(p.DiffRequest{
		ID: r.ID, Urn: r.urn, State: r.State, OldInputs: r.Inputs,
		Inputs: r.engine.Checked(string(r.urn.Type()), inputs),
	})
	if err != nil {
		r.engine.t.Fatal(err)
	}
	return response
}

// TryUpdate changes the resource in place, or says why that fails; then it stays as it was.
func (r *Resource) TryUpdate(inputs property.Map, dryRun bool) (property.Map, error) {
	r.engine.t.Helper()
	checked := r.engine.Checked(string(r.urn.Type()), inputs)
	response, err := r.engine.Update(p.UpdateRequest{
		ID: r.ID, Urn: r.urn, State: r.State, OldInputs: r.Inputs, Inputs: checked, DryRun: dryRun,
	})
	if err != nil {
		return property.Map{}, err
	}
	if !dryRun {
		r.Inputs, r.State = checked, response.Properties
	}
	return response.Properties, nil
}

// UpdateTo changes the resource in place; a failure ends the test.
func (r *Resource) UpdateTo(inputs property.Map) {
	r.engine.t.Helper()
	if _, err := r.TryUpdate(inputs, false); err != nil {
		r.engine.t.Fatal(err)
	}
}

// Refresh reads the resource again; false means that it is gone.
func (r *Resource) Refresh() bool {
	r.engine.t.Helper()
	response, err := r.engine.Read(p.ReadRequest{ID: r.ID, Urn: r.urn, Properties: r.State, Inputs: r.Inputs})
	if err != nil {
		r.engine.t.Fatal(err)
	}
	r.Inputs, r.State = response.Inputs, response.Properties
	return response.ID != ""
}

// TryDelete deletes the resource, or says why that fails.
func (r *Resource) TryDelete() error {
	return r.engine.Delete(p.DeleteRequest{ID: r.ID, Urn: r.urn, Properties: r.State})
}

// Logs collects what the provider logs until the end of the test; for tests that run alone.
func Logs(t *testing.T) *LogLines {
	t.Helper()
	lines := &LogLines{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(lines, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return lines
}

// LogLines is what a provider logged.
type LogLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *LogLines) Write(data []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(data)
}

func (l *LogLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Schema is the part of a Pulumi package schema that decides what a program may say and gets.
type Schema struct {
	Types     map[string]any
	Resources map[string]any
	Functions map[string]any
	Provider  any
}

// Served is the schema that the provider serves.
func (e *Engine) Served() Schema {
	e.t.Helper()
	response, err := e.GetSchema(p.GetSchemaRequest{})
	if err != nil {
		e.t.Fatal(err)
	}
	return parseSchema(e.t, []byte(response.Schema))
}

// Published is the schema of the published plugin; where the files are not at hand the test is
// skipped. LAB_SCHEMAS names their folder, by default shared/schemas beside the checkout.
func Published(t *testing.T, file string) Schema {
	t.Helper()
	folder := os.Getenv("LAB_SCHEMAS")
	if folder == "" {
		_, here, _, _ := runtime.Caller(0)
		checkout := filepath.Join(filepath.Dir(here), "..", "..", "..", "..")
		folder = filepath.Join(checkout, "..", "shared", "schemas")
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if os.IsNotExist(err) {
		t.Skipf("the published schema %s is not in %s: set LAB_SCHEMAS to its folder", file, folder)
	}
	if err != nil {
		t.Fatal(err)
	}
	return parseSchema(t, text)
}

func parseSchema(t *testing.T, text []byte) Schema {
	t.Helper()
	var schema Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	schema.Types, _ = essence(schema.Types).(map[string]any)
	schema.Resources, _ = essence(schema.Resources).(map[string]any)
	schema.Functions, _ = essence(schema.Functions).(map[string]any)
	schema.Provider = essence(schema.Provider)
	return schema
}

// aside is what a schema says to readers and to generators of SDKs.
var aside = map[string]bool{
	"description": true, "deprecationMessage": true, "language": true, "isComponent": true,
	// The state that `get` may be given: the bridge writes it, and it equals the outputs.
	"stateInputs": true,
	// Replacement by the bridge's and by our way of saying it.
	"willReplaceOnChanges": true,
}

// essence drops what does not decide anything, and gives lists of names an order.
func essence(value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for key, child := range value {
			_, isText := child.(string)
			_, isFlag := child.(bool)
			_, isObject := child.(map[string]any)
			if aside[key] && (isText || isFlag || isObject && (key == "language" || key == "stateInputs")) {
				continue
			}
			kept[key] = essence(child)
		}
		return kept
	case []any:
		return essenceOfList(value)
	}
	return value
}

func essenceOfList(values []any) any {
	names := map[string]bool{}
	kept := make([]any, len(values))
	for i, value := range values {
		if name, ok := value.(string); ok {
			names[name] = true
		}
		if object, ok := value.(map[string]any); ok && object["value"] != nil {
			// A value of an enumeration; its name is for generators.
			value = object["value"]
		}
		kept[i] = essence(value)
	}
	if len(names) == len(values) && len(names) > 0 {
		return names
	}
	return kept
}
