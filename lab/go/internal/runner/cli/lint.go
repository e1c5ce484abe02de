package cli

import (
	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/config"
)

func (p *program) lintCommand() cli.Command {
	return cli.Command{
		Name:  "lint",
		Usage: "validate syntax and keys of a config.toml file",
		Flags: []cli.Flag{configFlag()},
		Action: func(context *cli.Context) error {
			if err := config.Lint(context.String("config")); err != nil {
				return err
			}
			p.log.Info("Configuration file is valid.")
			return nil
		},
	}
}
