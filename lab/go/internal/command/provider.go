// Package command is the command provider, with the published provider's names and semantics.
package command

import (
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"gitlab-runner-proxmox/lab/internal/command/local"
	"gitlab-runner-proxmox/lab/internal/command/remote"
)

// Name and Version are those of the npm SDK that the program uses.
const (
	Name    = "command"
	Version = "1.2.1"
)

// Provider is the whole provider.
func Provider() (p.Provider, error) {
	return infer.NewProviderBuilder().
		WithResources(
			infer.Resource(&local.Command{}),
			infer.Resource(&remote.Command{}),
			infer.Resource(&remote.CopyToRemote{}),
		).
		Build()
}
