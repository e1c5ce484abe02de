// pulumi-resource-command stands in for the published command plugin where that cannot be downloaded.
package main

import (
	"gitlab-runner-proxmox/lab/internal/command"
	"gitlab-runner-proxmox/lab/internal/plugin"
)

func main() { plugin.Main(command.Name, command.Version, command.Provider) }
