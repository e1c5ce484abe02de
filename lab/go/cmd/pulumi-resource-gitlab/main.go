// pulumi-resource-gitlab stands in for the published gitlab plugin where that cannot be downloaded.
package main

import (
	"gitlab-runner-proxmox/lab/internal/gitlab"
	"gitlab-runner-proxmox/lab/internal/plugin"
)

func main() { plugin.Main(gitlab.Name, gitlab.Version, gitlab.Provider) }
