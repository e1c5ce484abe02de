// Command gitlab-runner-helper works inside of a job's containers: artifacts, caches, checks of
// services.
package main

import (
	"os"

	"gitlab-runner-proxmox/lab/internal/runner/helper"
)

func main() { os.Exit(helper.Main(os.Args, os.Stdout, os.Stderr)) }
