// Package random is the random provider, with the published provider's names and semantics: a
// value is drawn once and kept until an input changes, which draws a new one.
package random

import (
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"gitlab-runner-proxmox/lab/internal/plugin"
)

// Name and Version are those of the npm SDK that the program uses.
const (
	Name    = "random"
	Version = "4.21.2"
)

// Provider is the whole provider.
func Provider() (p.Provider, error) {
	provider, err := infer.NewProviderBuilder().
		WithResources(
			infer.Resource(&RandomId{}),
			infer.Resource(&RandomInteger{}),
			infer.Resource(&RandomPassword{}),
			infer.Resource(&RandomPet{}),
			infer.Resource(&RandomString{}),
			infer.Resource(&RandomUuid{}),
		).
		Build()
	return plugin.BridgedModules(provider), err
}
