package cli

import (
	gocontext "context"
	"errors"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

func (p *program) verifyCommand() cli.Command {
	return cli.Command{
		Name:  "verify",
		Usage: "verify all registered runners",
		Flags: []cli.Flag{
			configFlag(),
			cli.StringFlag{Name: "name, n", Usage: "Name of the runner you wish to verify"},
			cli.StringFlag{Name: "url, u", Usage: "GitLab instance URL", EnvVar: "CI_SERVER_URL"},
			cli.StringFlag{Name: "token, t", Usage: "Runner token", EnvVar: "CI_SERVER_TOKEN"},
			cli.BoolFlag{Name: "delete", Usage: "Delete no longer existing runners"},
		},
		Action: p.verify,
	}
}

// verify asks GitLab for each runner. As with the real runner, only a refusal counts: a GitLab that
// does not answer leaves a runner verified.
func (p *program) verify(context *cli.Context) error {
	p.warnOfMode()
	file := context.String("config")
	loaded, err := p.load(file)
	if err != nil {
		return err
	}
	runners, err := selectRunners(loaded, context)
	if err != nil {
		return err
	}
	systemID, err := config.SystemID(file)
	if err != nil {
		p.log.WithError(err).Warning("Couldn't save the system id")
	}
	client := api.New(nil)
	refused := map[string]bool{}
	for _, runner := range runners {
		if !p.isValid(client, server(file, runner, systemID), runner) {
			refused[runner.Token] = true
		}
	}
	if len(refused) == 0 {
		return nil
	}
	if !context.Bool("delete") {
		return errors.New("Failed to verify runners") //nolint:staticcheck // The real one's words.
	}
	return p.keep(file, func(token string) bool { return !refused[token] })
}

func (p *program) isValid(client *api.Client, gitlab *api.Server, runner *config.Runner) bool {
	log := p.log.With(logging.Fields{"runner": gitlab.Short, "runner_name": runner.Name})
	_, err := client.Verify(gocontext.Background(), gitlab, api.NewInfo(runner.Executor, runner.Shell))
	switch {
	case err == nil:
		log.Info("Verifying runner... is valid")
	case errors.Is(err, api.ErrForbidden):
		log.Error("Verifying runner... is not valid")
		return false
	default:
		log.WithError(err).Warning("Verifying runner... failed")
	}
	return true
}

// keep rewrites a file with those runners whose token is to stay.
func (p *program) keep(file string, stays func(token string) bool) error {
	err := config.Rewrite(file, func(runners []map[string]any) []map[string]any {
		var kept []map[string]any
		for _, runner := range runners {
			if token, _ := runner["token"].(string); stays(token) {
				kept = append(kept, runner)
			}
		}
		return kept
	})
	if err != nil {
		return errors.New("Failed to update " + file + ": " + err.Error()) //nolint:staticcheck // The real one's words.
	}
	p.log.Info("Updated", file)
	return nil
}
