package cli

import (
	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/helper"
)

func (p *program) healthCheckCommand() cli.Command { return helper.HealthCheckCommand() }
