package cli

import (
	"fmt"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

func (p *program) listCommand() cli.Command {
	return cli.Command{
		Name:  "list",
		Usage: "List all configured runners",
		Flags: []cli.Flag{configFlag()},
		Action: func(context *cli.Context) error {
			file := context.String("config")
			loaded, err := p.load(file)
			if err != nil {
				return err
			}
			p.log.With(logging.Fields{"ConfigFile": file}).Info("Listing configured runners")
			for _, runner := range loaded.Runners {
				p.log.Info(fmt.Sprintf("%-50s  Executor=%s Token=%s URL=%s",
					runner.Name, runner.Executor, runner.Token, runner.URL))
			}
			return nil
		},
	}
}
