// pulumi-resource-gitlab stands in for the published gitlab plugin where that cannot be downloaded.
package main

import (
	"context"
	"fmt"
	"os"

	"gitlab-runner-proxmox/lab/internal/gitlab"
)

func main() {
	provider, err := gitlab.Provider()
	if err == nil {
		err = provider.Run(context.Background(), "gitlab", "10.1.1")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
