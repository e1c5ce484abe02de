// Package local holds the resource that runs a command on the machine that runs Pulumi.
package local

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/pulumi/pulumi-go-provider/infer"

	"gitlab-runner-proxmox/lab/internal/command/shared"
)

// Command runs a command line here when it is created, updated and deleted.
type Command struct{}

// CommandInputs is what the program says of a command.
type CommandInputs struct {
	Triggers               *[]any            `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create                 *string           `pulumi:"create,optional"`
	Update                 *string           `pulumi:"update,optional"`
	Delete                 *string           `pulumi:"delete,optional"`
	Stdin                  *string           `pulumi:"stdin,optional"`
	Logging                *shared.Logging   `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
	Interpreter            *[]string         `pulumi:"interpreter,optional"`
	Dir                    *string           `pulumi:"dir,optional"`
	Environment            map[string]string `pulumi:"environment,optional"`
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
	id, err := shared.NewID(req.Name)
	if err != nil || req.DryRun || state.Create == nil {
		return infer.CreateResponse[CommandState]{ID: id, Output: state}, err
	}
	err = state.run(ctx, *state.Create, nil)
	return infer.CreateResponse[CommandState]{ID: id, Output: state}, err
}

// Update runs `update`, or `create` when there is none.
func (*Command) Update(ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandState]) (
	infer.UpdateResponse[CommandState], error,
) {
	state := CommandState{CommandInputs: req.Inputs, Stdout: req.State.Stdout, Stderr: req.State.Stderr}
	line := state.Update
	if line == nil {
		line = state.Create
	}
	if req.DryRun || line == nil {
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
	interpreter := []string{"/bin/sh", "-c"}
	if s.Interpreter != nil && len(*s.Interpreter) > 0 {
		interpreter = *s.Interpreter
	}
	args := append(append([]string{}, interpreter[1:]...), line)
	command := exec.CommandContext(ctx, interpreter[0], args...)
	if s.Dir != nil {
		command.Dir = *s.Dir
	}
	command.Env = os.Environ()
	if previous != nil && (s.AddPreviousOutputInEnv == nil || *s.AddPreviousOutputInEnv) {
		command.Env = append(command.Env,
			"PULUMI_COMMAND_STDOUT="+previous.Stdout, "PULUMI_COMMAND_STDERR="+previous.Stderr)
	}
	for name, value := range s.Environment {
		command.Env = append(command.Env, name+"="+value)
	}
	if s.Stdin != nil {
		command.Stdin = strings.NewReader(*s.Stdin)
	}
	streams := shared.NewStreams(ctx, s.Logging)
	command.Stdout = streams.Stdout
	command.Stderr = streams.Stderr
	err := command.Run()
	stdout, stderr, all := streams.Results()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, line, all)
	}
	s.Stdout, s.Stderr = stdout, stderr
	return nil
}
