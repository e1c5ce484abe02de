package cli

import (
	gocontext "context"
	"errors"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

func (p *program) unregisterCommand() cli.Command {
	return cli.Command{
		Name:  "unregister",
		Usage: "unregister specific runner",
		Flags: []cli.Flag{
			configFlag(),
			cli.StringFlag{Name: "name, n", Usage: "Name of the runner you wish to unregister"},
			cli.StringFlag{Name: "url, u", Usage: "GitLab instance URL", EnvVar: "CI_SERVER_URL"},
			cli.StringFlag{Name: "token, t", Usage: "Runner token", EnvVar: "CI_SERVER_TOKEN"},
			cli.BoolFlag{Name: "all-runners", Usage: "Unregister all runners"},
		},
		Action: p.unregister,
	}
}

// unregister takes this machine's managers out of GitLab, and their runners out of the file. A
// runner that GitLab does not let go stays in the file.
func (p *program) unregister(context *cli.Context) error {
	p.warnOfMode()
	file := context.String("config")
	loaded, err := p.load(file)
	if err != nil {
		return err
	}
	runners := loaded.Runners
	all := context.Bool("all-runners")
	if all {
		p.log.Warning("Unregistering all runners")
	} else if runners, err = oneRunner(loaded, context); err != nil {
		return err
	}
	systemID, err := config.SystemID(file)
	if err != nil {
		p.log.WithError(err).Warning("Couldn't save the system id")
	}
	client := api.New(nil)
	gone := map[string]bool{}
	for _, runner := range runners {
		gitlab := server(file, runner, systemID)
		log := p.log.With(logging.Fields{"runner": gitlab.Short})
		if err := client.Unregister(gocontext.Background(), gitlab); err != nil {
			log.WithError(err).Error("Unregistering runner manager from GitLab failed")
			if !all {
				return errors.New("Failed to unregister runner " + runner.Name) //nolint:staticcheck // The real one's words.
			}
			p.log.Error("Failed to unregister runner", runner.Name)
			continue
		}
		log.Info("Unregistering runner manager from GitLab succeeded")
		gone[runner.Token] = true
	}
	if len(gone) == 0 {
		// As with the real runner, --all-runners ends with status 0 although none went.
		return nil
	}
	return p.keep(file, func(token string) bool { return !gone[token] })
}

func oneRunner(loaded *config.Loaded, context *cli.Context) ([]*config.Runner, error) {
	if context.String("name") == "" && context.String("token") == "" {
		return nil, errors.New("at least one of --name or --token must be specified")
	}
	found, err := selectRunners(loaded, context)
	if err != nil {
		return nil, err
	}
	return found[:1], nil
}
