// Package gitlab is the part of the GitLab provider that this program uses, with the published
// provider's names, requests, rules and error texts.
package gitlab

import (
	"context"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"gitlab-runner-proxmox/lab/internal/plugin"
)

// Name and Version are those of the npm SDK that the program uses.
const (
	Name    = "gitlab"
	Version = "10.1.1"
)

// Provider is the whole provider.
func Provider() (p.Provider, error) {
	provider, err := infer.NewProviderBuilder().
		WithConfig(infer.Config(&Config{})).
		WithResources(infer.Resource(&UserRunner{})).
		Build()
	if err != nil {
		return p.Provider{}, err
	}
	diffConfig := provider.DiffConfig
	provider.DiffConfig = func(ctx context.Context, req p.DiffRequest) (p.DiffResponse, error) {
		response, err := diffConfig(ctx, req)
		keepProvider(response.DetailedDiff)
		return response, err
	}
	return plugin.BridgedModules(provider), nil
}

// keepProvider makes every change of the settings one in place. go-provider would replace the
// provider and with it every resource: a rotated token would cost every runner.
func keepProvider(diff map[string]p.PropertyDiff) {
	inPlace := map[p.DiffKind]p.DiffKind{
		p.AddReplace:    p.Add,
		p.DeleteReplace: p.Delete,
		p.UpdateReplace: p.Update,
	}
	for name, change := range diff {
		if kind, ok := inPlace[change.Kind]; ok {
			change.Kind = kind
			diff[name] = change
		}
	}
}
