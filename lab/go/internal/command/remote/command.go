package remote

import (
	"context"
	"fmt"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"

	"gitlab-runner-proxmox/lab/internal/command/shared"
)

// Command runs a command line on another machine when it is created, updated and deleted.
type Command struct{}

// CommandInputs is what the program says of a command.
type CommandInputs struct {
	Connection             *Connection       `pulumi:"connection" provider:"secret"`
	Environment            map[string]string `pulumi:"environment,optional"`
	Triggers               *[]any            `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create                 *string           `pulumi:"create,optional"`
	Update                 *string           `pulumi:"update,optional"`
	Delete                 *string           `pulumi:"delete,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *shared.Logging   `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
}

// Annotate sets the defaults.
func (c *CommandInputs) Annotate(a infer.Annotator) {
	a.SetDefault(&c.AddPreviousOutputInEnv, true)
}

// CommandState adds what the last run printed.
type CommandState struct {
	CommandInputs
	Stdout string `pulumi:"stdout"`
	Stderr string `pulumi:"stderr"`
}

// Create runs `create`.
func (*Command) Create(ctx context.Context, req infer.CreateRequest[CommandInputs]) (
	infer.CreateResponse[CommandState], error,
) {
	state := CommandState{CommandInputs: req.Inputs}
	id, err := shared.NewID("")
	if err != nil || req.DryRun {
		return infer.CreateResponse[CommandState]{ID: id, Output: state}, err
	}
	if state.Create == nil {
		return infer.CreateResponse[CommandState]{ID: id, Output: state}, nil
	}
	err = state.run(ctx, *state.Create, nil)
	return infer.CreateResponse[CommandState]{ID: id, Output: state}, err
}

// Update runs `update`, or `create` when there is none.
func (*Command) Update(ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandState]) (
	infer.UpdateResponse[CommandState], error,
) {
	state := CommandState{CommandInputs: req.Inputs, Stdout: req.State.Stdout, Stderr: req.State.Stderr}
	if req.DryRun {
		return infer.UpdateResponse[CommandState]{Output: state}, nil
	}
	line := state.Update
	if line == nil {
		line = state.Create
	}
	if line == nil {
		return infer.UpdateResponse[CommandState]{Output: state}, nil
	}
	err := state.run(ctx, *line, &req.State)
	return infer.UpdateResponse[CommandState]{Output: state}, err
}

// Delete runs `delete`, when there is one.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandState]) (infer.DeleteResponse, error) {
	if req.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	state := req.State
	return infer.DeleteResponse{}, state.run(ctx, *req.State.Delete, &req.State)
}

func (s *CommandState) run(ctx context.Context, line string, previous *CommandState) error {
	client, err := s.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	if err != nil {
		return err
	}
	defer func() { _ = session.Close() }()

	for name, value := range s.Environment {
		if err := session.Setenv(name, value); err != nil {
			p.GetLogger(ctx).Errorf("Unable to set '%s'. This only works if your SSH server is configured to accept "+
				"these variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could "+
				"prefix the command itself with the variables in the form 'VAR=value command'", name)
			return fmt.Errorf("could not set environment variable %q: %w", name, err)
		}
	}
	if previous != nil && (s.AddPreviousOutputInEnv == nil || *s.AddPreviousOutputInEnv) {
		for name, value := range map[string]string{
			"PULUMI_COMMAND_STDOUT": previous.Stdout,
			"PULUMI_COMMAND_STDERR": previous.Stderr,
		} {
			if value == "" {
				continue
			}
			if err := session.Setenv(name, value); err != nil {
				p.GetLogger(ctx).Warningf("Unable to set '%s'. This only works if your SSH server is configured to accept "+
					"these variables via AcceptEnv; set addPreviousOutputInEnv to false to silence this warning", name)
			}
		}
	}
	if s.Stdin != nil {
		session.Stdin = strings.NewReader(*s.Stdin)
	}
	streams := shared.NewStreams(ctx, s.Logging)
	session.Stdout = streams.Stdout
	session.Stderr = streams.Stderr
	err = session.Run(line)
	stdout, stderr, all := streams.Results()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, line, all)
	}
	s.Stdout, s.Stderr = stdout, stderr
	return nil
}
