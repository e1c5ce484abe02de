// Command gitlab-runner stands in for GitLab Runner 19.3 on the lab's guests: its command line, its
// config.toml, its way to talk to GitLab, and its Docker executor.
package main

import (
	"os"

	"gitlab-runner-proxmox/lab/internal/runner/cli"
)

func main() { os.Exit(cli.Main(os.Args, os.Stdout, os.Stderr)) }
