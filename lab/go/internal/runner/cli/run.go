package cli

import (
	"fmt"
	"os"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/docker"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/manager"
)

func (p *program) runCommand() cli.Command {
	return cli.Command{
		Name:  "run",
		Usage: "run multi runner service",
		Flags: []cli.Flag{
			configFlag(),
			cli.StringFlag{Name: "listen-address", Usage: "Metrics / pprof server listening address", EnvVar: "LISTEN_ADDRESS"},
			cli.StringFlag{Name: "service, n", Value: "gitlab-runner", Usage: "Use different names for different services"},
			cli.StringFlag{Name: "working-directory, d", Usage: "Specify custom working directory"},
			cli.StringFlag{Name: "user, u", Usage: "Use specific user to execute shell scripts"},
			// Under systemd the log is the journal with and without it.
			cli.BoolFlag{Name: "syslog", Usage: "Log to system service logger", EnvVar: "LOG_SYSLOG"},
		},
		Action: p.run,
	}
}

func (p *program) run(context *cli.Context) error {
	file := context.String("config")
	p.log.With(logging.Fields{"builds": 0, "max_builds": 0}).Info("Starting multi-runner from " + file + "...")
	p.warnOfMode()
	if dir := context.String("working-directory"); dir != "" {
		if err := os.Chdir(dir); err != nil {
			return fmt.Errorf("Service run failed: %w", err) //nolint:staticcheck // The real one's words.
		}
	}
	m, err := manager.New(manager.Options{
		ConfigFile: file, ListenAddress: context.String("listen-address"), User: context.String("user"),
		Log: p.log, Configure: p.configure,
		NewExecutor: func(b *build.Build, log *joblog.Log) build.Executor { return docker.New(b, log) },
	})
	if err == nil {
		err = m.Run()
	}
	if err != nil {
		return fmt.Errorf("Service run failed: %w", err) //nolint:staticcheck // The real one's words.
	}
	return nil
}

// configure sets up logging as a file asks, where the command line does not.
func (p *program) configure(loaded *config.Config) error {
	level, format := p.log.Level(), p.log.Format()
	var err error
	if !p.levelSet {
		level = logging.Info
		if loaded.LogLevel != "" {
			if level, err = logging.ParseLevel(loaded.LogLevel); err != nil {
				return err
			}
		}
	}
	if !p.formatSet {
		format = logging.FormatRunner
		if loaded.LogFormat != "" {
			if format, err = logging.ParseFormat(loaded.LogFormat); err != nil {
				return err
			}
		}
	}
	p.log.Configure(level, format)
	return nil
}
