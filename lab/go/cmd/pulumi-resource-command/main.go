// pulumi-resource-command stands in for the published command plugin where that cannot be downloaded.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-go-provider/infer"

	"gitlab-runner-proxmox/lab/internal/command/local"
	"gitlab-runner-proxmox/lab/internal/command/remote"
)

func main() {
	provider, err := infer.NewProviderBuilder().
		WithResources(
			infer.Resource(&local.Command{}),
			infer.Resource(&remote.Command{}),
			infer.Resource(&remote.CopyToRemote{}),
		).
		Build()
	if err == nil {
		err = provider.Run(context.Background(), "command", "1.2.1")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
