// Package cli is the command line of gitlab-runner, as far as hosts and their engineers use it.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

const (
	systemConfig = "/etc/gitlab-runner/config.toml"
	userConfig   = ".gitlab-runner/config.toml"
)

// program is one call of the command line.
type program struct {
	out io.Writer
	log *logging.Logger
	// levelSet and formatSet say that the command line chose them, so that config.toml does not.
	levelSet  bool
	formatSet bool
}

// Main runs the command line and returns the exit status: 0, or 1 after a fatal error, which is on
// stderr.
func Main(args []string, stdout, stderr io.Writer) int {
	p := &program{out: stdout, log: logging.New(stderr)}
	app := p.app()
	app.Writer = stdout
	app.ErrWriter = stderr
	if err := app.Run(args); err != nil {
		p.log.Report(logging.Fatal, err.Error())
		return 1
	}
	return 0
}

func (p *program) app() *cli.App {
	cli.VersionPrinter = func(context *cli.Context) { fmt.Fprint(context.App.Writer, version.Text()) }
	// Errors end in Main, which gives them the runner's own look.
	cli.OsExiter = func(int) {}
	app := cli.NewApp()
	app.Name = version.Name
	app.HelpName = version.Name
	app.Usage = "a GitLab Runner"
	app.Version = version.Version
	app.Author = ""
	app.Flags = []cli.Flag{
		cli.BoolFlag{Name: "debug", Usage: "debug mode", EnvVar: "RUNNER_DEBUG"},
		cli.StringFlag{Name: "log-format", Usage: "Choose log format (options: runner, text, json)", EnvVar: "LOG_FORMAT"},
		cli.StringFlag{Name: "log-level, l", Usage: "Log level (options: debug, info, warn, error, fatal, panic)", EnvVar: "LOG_LEVEL"},
	}
	app.Before = p.before
	app.Commands = []cli.Command{
		p.listCommand(), p.runCommand(), p.registerCommand(), p.unregisterCommand(), p.verifyCommand(),
		p.lintCommand(), p.healthCheckCommand(),
	}
	app.CommandNotFound = func(_ *cli.Context, command string) {
		p.log.Fatal("Command", command, "not found.")
	}
	return app
}

// before sets up logging, and greets as the real runner does at the start of every command.
func (p *program) before(context *cli.Context) error {
	level, format := logging.Info, logging.FormatRunner
	var err error
	if name := context.String("log-level"); name != "" {
		if level, err = logging.ParseLevel(name); err != nil {
			return err
		}
		p.levelSet = true
	}
	if context.Bool("debug") {
		level, p.levelSet = logging.Debug, true
	}
	if name := context.String("log-format"); name != "" {
		if format, err = logging.ParseFormat(name); err != nil {
			return err
		}
		p.formatSet = true
	}
	p.log.Configure(level, format)
	if context.NArg() == 0 {
		return nil
	}
	p.log.With(logging.Fields{
		"os": runtime.GOOS, "arch": runtime.GOARCH, "version": version.Version,
		"revision": version.Revision, "pid": os.Getpid(),
	}).Info("Runtime platform")
	return nil
}

// warnOfMode says whose configuration is at work.
func (p *program) warnOfMode() {
	if os.Getuid() == 0 {
		p.log.Info("Running in system-mode.")
		return
	}
	p.log.Warning("Running in user-mode.")
	p.log.Warning("Use sudo for system-mode:")
	p.log.Warning("$ sudo gitlab-runner...")
}

func configFlag() cli.Flag {
	return cli.StringFlag{Name: "config, c", Value: defaultConfig(), Usage: "Config file", EnvVar: "CONFIG_FILE"}
}

func defaultConfig() string {
	if os.Getuid() == 0 {
		return systemConfig
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, userConfig)
	}
	return filepath.Base(userConfig)
}

// load reads the configuration of a command that needs one; a file that is not there is empty.
func (p *program) load(file string) (*config.Loaded, error) {
	loaded, err := config.Load(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		loaded = config.Default()
	case err != nil:
		return nil, fmt.Errorf("loading config file %s: %w", file, err)
	}
	for _, problem := range append(loaded.Unknown, loaded.Violations...) {
		p.log.Warning("There might be a problem with your config:", problem.String())
	}
	return loaded, nil
}

// server is GitLab as a runner of a file sees it.
func server(file string, runner *config.Runner, systemID string) *api.Server {
	return &api.Server{
		URL: runner.URL, Token: runner.Token, Short: runner.ShortToken(), SystemID: systemID,
		CAFile: runner.TLSCAFile, CertFile: runner.TLSCertFile, KeyFile: runner.TLSKeyFile,
		CertificatesDir: filepath.Join(filepath.Dir(file), "certs"),
	}
}

// selectRunners picks runners by name, or by token and URL.
func selectRunners(loaded *config.Loaded, context *cli.Context) ([]*config.Runner, error) {
	name, token, url := context.String("name"), context.String("token"), context.String("url")
	if name == "" && token == "" && url == "" {
		return loaded.Runners, nil
	}
	var found []*config.Runner
	for _, runner := range loaded.Runners {
		if (name == "" || runner.Name == name) && (token == "" || runner.Token == token) &&
			(url == "" || runner.URL == url) {
			found = append(found, runner)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("could not find a runner with the given name, token or URL")
	}
	return found, nil
}
