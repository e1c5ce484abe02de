// pulumi-resource-random stands in for the published random plugin where that cannot be downloaded.
package main

import (
	"context"
	"fmt"
	"os"

	"gitlab-runner-proxmox/lab/internal/random"
)

func main() {
	provider, err := random.Provider()
	if err == nil {
		err = provider.Run(context.Background(), "random", "4.21.2")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
