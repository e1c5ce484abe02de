// Package helper is what gitlab-runner-helper does inside of a job's containers.
package helper

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

// errSilent ends a command with status 1; what there is to say is said.
var errSilent = errors.New("failed")

// environment is that of the process; tests put theirs in.
var environment = os.Environ

type program struct {
	log *logging.Logger
	out io.Writer
}

func (p *program) say(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

// Main runs the command line of the helper and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	p := &program{log: logging.New(stderr), out: stdout}
	cli.VersionPrinter = func(context *cli.Context) { fmt.Fprint(context.App.Writer, version.Text()) }
	cli.OsExiter = func(int) {}
	app := cli.NewApp()
	app.Name = "gitlab-runner-helper"
	app.HelpName = app.Name
	app.Usage = "a GitLab Runner Helper"
	app.Version = version.Version
	app.Author = ""
	app.Writer = stdout
	app.ErrWriter = stderr
	app.Commands = []cli.Command{
		p.artifactsDownloader(), p.artifactsUploader(), p.cacheArchiver(), p.cacheExtractor(), p.cacheInit(),
		HealthCheckCommand(),
	}
	app.CommandNotFound = func(_ *cli.Context, command string) {
		p.log.Fatal("Command", command, "not found.")
	}
	err := app.Run(args)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSilent) {
		p.log.Report(logging.Fatal, err.Error())
	}
	return 1
}
