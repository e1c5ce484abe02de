// Package plugintest serves a provider to tests as the Pulumi engine would see it.
package plugintest

import (
	"context"
	"log/slog"
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
	// DiffsState says that the provider has a Diff of its own, which looks at the state.
	DiffsState bool

	t       *testing.T
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
	return &Engine{Server: server, t: t, version: version}
}

// Map is a map of plain values as a program sends it.
func Map(values map[string]any) property.Map {
	return resource.FromResourcePropertyMap(resource.NewPropertyMapFromMap(values))
}

// Replaces tells whether a change asks for a new resource.
func Replaces(diff p.DiffResponse) bool {
	for _, change := range diff.DetailedDiff {
		switch change.Kind {
		case p.AddReplace, p.DeleteReplace, p.UpdateReplace:
			return true
		}
	}
	return false
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
	state := r.State
	if !r.engine.DiffsState {
		// go-provider compares inputs. This server cannot say that it sends the old ones, as every
		// engine does: then go-provider looks for them in the state.
		state = r.Inputs
	}
	response, err := r.engine.Diff(p.DiffRequest{
		ID: r.ID, Urn: r.urn, State: state, OldInputs: r.Inputs,
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
