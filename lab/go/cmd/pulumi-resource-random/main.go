// pulumi-resource-random stands in for the published random plugin where that cannot be downloaded.
package main

import (
	"gitlab-runner-proxmox/lab/internal/plugin"
	"gitlab-runner-proxmox/lab/internal/random"
)

func main() { plugin.Main(random.Name, random.Version, random.Provider) }
