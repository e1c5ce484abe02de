package remote

import (
	"context"
	"fmt"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"golang.org/x/crypto/ssh"

	"gitlab-runner-proxmox/lab/internal/command/shared"
)

// Logging says which of a command's streams are shown while it runs. Default: both.
type Logging string

// Values lists what the SDK may send.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: shared.LogStdout, Value: shared.LogStdout, Description: "Show stdout only"},
		{Name: shared.LogStderr, Value: shared.LogStderr, Description: "Show stderr only"},
		{Name: shared.LogStdoutAndStderr, Value: shared.LogStdoutAndStderr, Description: "Show both"},
		{Name: shared.LogNone, Value: shared.LogNone, Description: "Show nothing"},
	}
}

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
	Logging                *Logging          `pulumi:"logging,optional"`
	AddPreviousOutputInEnv *bool             `pulumi:"addPreviousOutputInEnv,optional"`
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
	id, err := shared.NewID()
	if err != nil || req.DryRun || state.Create == nil {
		return infer.CreateResponse[CommandState]{ID: id, Output: state}, err
	}
	err = state.run(ctx, *state.Create)
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
	err := state.run(ctx, *line)
	return infer.UpdateResponse[CommandState]{Output: state}, err
}

// Delete runs `delete`, when there is one.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandState]) (infer.DeleteResponse, error) {
	if req.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	state := req.State
	return infer.DeleteResponse{}, state.run(ctx, *state.Delete)
}

// run runs one command line; what it prints replaces what the last one printed.
func (s *CommandState) run(ctx context.Context, line string) error {
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

	if err := s.setenv(ctx, session); err != nil {
		return err
	}
	if s.Stdin != nil {
		session.Stdin = strings.NewReader(*s.Stdin)
	}
	capture := shared.NewCapture(ctx, shared.Shown(s.Logging))
	session.Stdout, session.Stderr = capture.Stdout, capture.Stderr
	err = session.Run(line)
	stdout, stderr, all := capture.Results()
	if err != nil {
		return fmt.Errorf("%w: running %q:\n%s", err, line, all)
	}
	s.Stdout, s.Stderr = stdout, stderr
	return nil
}

// setenv asks the server to set the variables. A server that does not accept one of the program's
// is an error; the previous output is only warned of.
func (s *CommandState) setenv(ctx context.Context, session *ssh.Session) error {
	logger := p.GetLogger(ctx)
	for name, value := range s.Environment {
		if err := session.Setenv(name, value); err != nil {
			logger.Error(setenvHint(name))
			return fmt.Errorf("could not set environment variable %q: %w", name, err)
		}
	}
	for name, value := range shared.Previous(s.AddPreviousOutputInEnv, s.Stdout, s.Stderr) {
		if err := session.Setenv(name, value); err != nil {
			logger.Warning(setenvHint(name))
		}
	}
	return nil
}

func setenvHint(name string) string {
	return fmt.Sprintf("Unable to set '%s'. This only works if your SSH server is configured to accept\n"+
		"\tthese variables via AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could\n"+
		"\tprefix the command itself with the variables in the form 'VAR=value command'", name)
}
