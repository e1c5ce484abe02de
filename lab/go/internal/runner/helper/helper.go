// Package helper is what gitlab-runner-helper does inside of a job's containers.
package helper

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli"

	"gitlab-runner-proxmox/lab/internal/runner/logging"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

// Main runs the command line of the helper and returns its exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	log := logging.New(stderr)
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
	app.Commands = []cli.Command{HealthCheckCommand()}
	app.CommandNotFound = func(_ *cli.Context, command string) {
		log.Fatal("Command", command, "not found.")
	}
	if err := app.Run(args); err != nil {
		log.Report(logging.Fatal, err.Error())
		return 1
	}
	return 0
}

// environment looks a variable up; tests put theirs in.
var environment = os.Environ
