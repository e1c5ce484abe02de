package local

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"

	"gitlab-runner-proxmox/lab/internal/command/shared"
)

// Command runs a command line here when it is created, updated and deleted.
type Command struct{}

// CommandInputs is what the program says of a command.
type CommandInputs struct {
	Settings
	Triggers *[]any  `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Create   *string `pulumi:"create,optional"`
	Update   *string `pulumi:"update,optional"`
	Delete   *string `pulumi:"delete,optional"`
}

// CommandState adds what the last run left.
type CommandState struct {
	CommandInputs
	Outcome
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
	err = state.run(ctx, *state.Create, &state.Outcome)
	return infer.CreateResponse[CommandState]{ID: id, Output: state}, err
}

// Update runs `update`, or `create` when there is none.
func (*Command) Update(ctx context.Context, req infer.UpdateRequest[CommandInputs, CommandState]) (
	infer.UpdateResponse[CommandState], error,
) {
	state := CommandState{CommandInputs: req.Inputs, Outcome: req.State.Outcome}
	line := state.Update
	if line == nil {
		line = state.Create
	}
	if req.DryRun || line == nil {
		return infer.UpdateResponse[CommandState]{Output: state}, nil
	}
	err := state.run(ctx, *line, &state.Outcome)
	return infer.UpdateResponse[CommandState]{Output: state}, err
}

// Delete runs `delete`, when there is one.
func (*Command) Delete(ctx context.Context, req infer.DeleteRequest[CommandState]) (infer.DeleteResponse, error) {
	if req.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	state := req.State
	return infer.DeleteResponse{}, state.run(ctx, *state.Delete, &state.Outcome)
}
