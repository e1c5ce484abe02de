package cli

import (
	gocontext "context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
)

// serverSide are settings that belong to the runner's record in GitLab.
var serverSide = []string{
	"locked", "access-level", "run-untagged", "maximum-timeout", "paused", "tag-list", "maintenance-note",
}

func (p *program) registerCommand() cli.Command {
	flags := []cli.Flag{
		configFlag(),
		cli.BoolFlag{Name: "non-interactive, n", Usage: "Run registration unattended", EnvVar: "REGISTER_NON_INTERACTIVE"},
		cli.StringFlag{Name: "url, u", Usage: "GitLab instance URL", EnvVar: "CI_SERVER_URL"},
		cli.StringFlag{Name: "token, t", Usage: "Runner token", EnvVar: "CI_SERVER_TOKEN"},
		cli.StringFlag{Name: "registration-token, r", Usage: "Runner's registration token", EnvVar: "REGISTRATION_TOKEN"},
		cli.StringFlag{Name: "name, description", Usage: "Runner name", EnvVar: "RUNNER_NAME"},
		cli.StringFlag{Name: "executor", Usage: "Select executor", EnvVar: "RUNNER_EXECUTOR"},
		cli.StringFlag{Name: "docker-image", Usage: "Docker image to be used", EnvVar: "DOCKER_IMAGE"},
		cli.StringFlag{Name: "tls-ca-file", Usage: "File containing the certificates to verify the peer", EnvVar: "CI_SERVER_TLS_CA_FILE"},
		cli.StringFlag{Name: "template-config", Usage: "Path to the configuration template file", EnvVar: "TEMPLATE_CONFIG_FILE"},
	}
	for _, name := range serverSide {
		flags = append(flags, cli.StringFlag{Name: name, Usage: "Set in GitLab, not here", Hidden: true})
	}
	return cli.Command{Name: "register", Usage: "register a new runner", Flags: flags, Action: p.register}
}

// register adds a runner whose record exists in GitLab to the file. As with the real one, a second
// call adds it a second time.
func (p *program) register(context *cli.Context) error {
	p.warnOfMode()
	file, token, url := context.String("config"), context.String("token"), context.String("url")
	if token == "" {
		token = context.String("registration-token")
	}
	switch {
	case !context.Bool("non-interactive"):
		return errors.New("this runner registers with --non-interactive only")
	case url == "" || token == "":
		return errors.New("--url and --token are needed")
	case !api.IsAuthenticationToken(token):
		return errors.New("registration tokens are not supported: create the runner in GitLab and use its glrt- token")
	case context.String("executor") == "":
		return errors.New("Invalid executor specified") //nolint:staticcheck // The real one's words.
	}
	for _, name := range serverSide {
		if context.IsSet(name) {
			return fmt.Errorf("Runner configuration other than name and executor configuration is reserved (specifically %q) and cannot be specified when registering with a runner authentication token", "--"+name) //nolint:staticcheck // The real one's words.
		}
	}
	entry, err := newEntry(context, token, url)
	if err != nil {
		return err
	}
	systemID, err := config.SystemID(file)
	if err != nil {
		p.log.WithError(err).Warning("Couldn't save the system id")
	}
	runner := &config.Runner{URL: url, Token: token, Executor: context.String("executor"), TLSCAFile: context.String("tls-ca-file")}
	gitlab := server(file, runner, systemID)
	log := p.log.With(logging.Fields{"runner": gitlab.Short})
	verified, err := api.New(nil).Verify(gocontext.Background(), gitlab, api.NewInfo(runner.Executor, ""))
	if err != nil {
		log.WithError(err).Error("Verifying runner... failed")
		return errors.New("Failed to verify the runner.") //nolint:staticcheck // The real one's words.
	}
	log.Info("Verifying runner... is valid")
	entry["id"] = verified.ID
	entry["token_obtained_at"] = time.Now().UTC().Truncate(time.Second)
	// The zero time stands for a token that does not expire.
	entry["token_expires_at"] = verified.TokenExpiresAt.UTC()
	err = config.Rewrite(file, func(runners []map[string]any) []map[string]any {
		return append(runners, entry)
	})
	if err != nil {
		return err
	}
	p.log.Info("Runner registered successfully. Feel free to start it, but if it's running already the config should be automatically reloaded!")
	p.log.Info(fmt.Sprintf("Configuration (with the authentication token) was saved in %q", file))
	return nil
}

// newEntry is the table of a new runner; a template gives what the command line does not say.
func newEntry(context *cli.Context, token, url string) (map[string]any, error) {
	entry := map[string]any{}
	if template := context.String("template-config"); template != "" {
		var parsed struct {
			Runners []map[string]any `toml:"runners"`
		}
		if _, err := toml.DecodeFile(template, &parsed); err != nil {
			return nil, fmt.Errorf("couldn't load the configuration template file: %w", err)
		}
		if len(parsed.Runners) != 1 {
			return nil, errors.New("the configuration template file must hold one runner")
		}
		entry = parsed.Runners[0]
	}
	name := context.String("name")
	if name == "" {
		name, _ = os.Hostname()
	}
	entry["name"], entry["url"], entry["token"] = name, url, token
	entry["executor"] = context.String("executor")
	if file := context.String("tls-ca-file"); file != "" {
		entry["tls-ca-file"] = file
	}
	if image := context.String("docker-image"); image != "" {
		docker, _ := entry["docker"].(map[string]any)
		if docker == nil {
			docker = map[string]any{}
		}
		docker["image"] = image
		entry["docker"] = docker
	}
	return entry, nil
}
