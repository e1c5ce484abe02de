package gitlab

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi-go-provider/infer"
	api "gitlab.com/gitlab-org/api/client-go"
)

// UserRunner is a runner record that a user created: POST /user/runners.
type UserRunner struct{}

// UserRunnerInputs is what may be said of a runner. What is not said GitLab decides.
type UserRunnerInputs struct {
	RunnerType      string    `pulumi:"runnerType"`
	GroupID         *int64    `pulumi:"groupId,optional"`
	ProjectID       *int64    `pulumi:"projectId,optional"`
	Description     *string   `pulumi:"description,optional"`
	Paused          *bool     `pulumi:"paused,optional"`
	Locked          *bool     `pulumi:"locked,optional"`
	Untagged        *bool     `pulumi:"untagged,optional"`
	TagLists        *[]string `pulumi:"tagLists,optional"`
	AccessLevel     *string   `pulumi:"accessLevel,optional"`
	MaximumTimeout  *int64    `pulumi:"maximumTimeout,optional"`
	MaintenanceNote *string   `pulumi:"maintenanceNote,optional"`
}

// UserRunnerState is what GitLab has, and the token, which it tells only once: an imported runner
// has none.
type UserRunnerState struct {
	RunnerType      string   `pulumi:"runnerType"`
	GroupID         *int64   `pulumi:"groupId,optional"`
	ProjectID       *int64   `pulumi:"projectId,optional"`
	Description     string   `pulumi:"description"`
	Paused          bool     `pulumi:"paused"`
	Locked          bool     `pulumi:"locked"`
	Untagged        bool     `pulumi:"untagged"`
	TagLists        []string `pulumi:"tagLists"`
	AccessLevel     string   `pulumi:"accessLevel"`
	MaximumTimeout  int64    `pulumi:"maximumTimeout"`
	MaintenanceNote string   `pulumi:"maintenanceNote"`
	Token           *string  `pulumi:"token,optional" provider:"secret"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *UserRunner) Annotate(a infer.Annotator) { a.SetToken("index/userRunner", "UserRunner") }

// WireDependencies keeps what is known of a record known while a preview changes it: a new
// description must not make the token unknown, and with it every step that uses the token.
func (*UserRunner) WireDependencies(f infer.FieldSelector, _ *UserRunnerInputs, state *UserRunnerState) {
	f.OutputField(&state.Token).AlwaysSecret()
	if state.Token != nil {
		f.OutputField(state).AlwaysKnown()
	}
}

// Create makes the record and reads it back.
func (*UserRunner) Create(ctx context.Context, req infer.CreateRequest[UserRunnerInputs]) (
	infer.CreateResponse[UserRunnerState], error,
) {
	in := req.Inputs
	state := in.over(UserRunnerState{})
	if req.DryRun {
		return infer.CreateResponse[UserRunnerState]{Output: state}, nil
	}
	made, _, err := client(ctx).Users.CreateUserRunner(&api.CreateUserRunnerOptions{
		RunnerType:      &in.RunnerType,
		GroupID:         in.GroupID,
		ProjectID:       in.ProjectID,
		Description:     in.Description,
		Paused:          in.Paused,
		Locked:          in.Locked,
		RunUntagged:     in.Untagged,
		TagList:         in.TagLists,
		AccessLevel:     in.AccessLevel,
		MaximumTimeout:  in.MaximumTimeout,
		MaintenanceNote: in.MaintenanceNote,
	}, api.WithContext(ctx))
	if err != nil {
		return infer.CreateResponse[UserRunnerState]{},
			fmt.Errorf("Error creating new GitLab Runner: couldn't create new GitLab Runner: %w", err)
	}
	state.Token = &made.Token
	id := strconv.FormatInt(made.ID, 10)
	details, _, err := client(ctx).Runners.GetRunnerDetails(made.ID, api.WithContext(ctx))
	if err != nil {
		// The record exists: the state has to know it and its token, or nobody removes it.
		return infer.CreateResponse[UserRunnerState]{ID: id, Output: state}, infer.ResourceInitFailedError{
			Reasons: []string{fmt.Sprintf("Error reading new GitLab runner after creation: "+
				"Error reading new GitLab runner after creation: %v", err)},
		}
	}
	state.merge(details)
	return infer.CreateResponse[UserRunnerState]{ID: id, Output: state}, nil
}

// Read looks at the record; one that is gone leaves the state.
func (*UserRunner) Read(ctx context.Context, req infer.ReadRequest[UserRunnerInputs, UserRunnerState]) (
	infer.ReadResponse[UserRunnerInputs, UserRunnerState], error,
) {
	details, _, err := client(ctx).Runners.GetRunnerDetails(req.ID, api.WithContext(ctx))
	if errors.Is(err, api.ErrNotFound) {
		return infer.ReadResponse[UserRunnerInputs, UserRunnerState]{}, nil
	}
	if err != nil {
		return infer.ReadResponse[UserRunnerInputs, UserRunnerState]{},
			fmt.Errorf("couldn't read runner details due to API error: %w", err)
	}
	imported := req.Inputs.RunnerType == ""
	state := req.State
	state.merge(details)
	return infer.ReadResponse[UserRunnerInputs, UserRunnerState]{
		ID: req.ID, Inputs: req.Inputs.found(state, imported), State: state,
	}, nil
}

// Update changes the record in place.
func (*UserRunner) Update(ctx context.Context, req infer.UpdateRequest[UserRunnerInputs, UserRunnerState]) (
	infer.UpdateResponse[UserRunnerState], error,
) {
	state := req.Inputs.over(req.State)
	if req.DryRun {
		return infer.UpdateResponse[UserRunnerState]{Output: state}, nil
	}
	options := &api.UpdateRunnerDetailsOptions{
		Description:     &state.Description,
		Paused:          &state.Paused,
		Locked:          &state.Locked,
		RunUntagged:     &state.Untagged,
		TagList:         &state.TagLists,
		AccessLevel:     &state.AccessLevel,
		MaintenanceNote: &state.MaintenanceNote,
	}
	// GitLab stands for none, and takes no 0.
	if state.MaximumTimeout > 0 {
		options.MaximumTimeout = &state.MaximumTimeout
	}
	details, _, err := client(ctx).Runners.UpdateRunnerDetails(req.ID, options, api.WithContext(ctx))
	if err != nil {
		return infer.UpdateResponse[UserRunnerState]{}, fmt.Errorf(
			"Error updating GitLab runner: Error updating GitLab runner %s: %w", req.ID, err)
	}
	state.merge(details)
	return infer.UpdateResponse[UserRunnerState]{Output: state}, nil
}

// Delete removes the record and with it its managers. A record that is gone already is an error,
// as in the published provider: a refresh finds out.
func (*UserRunner) Delete(ctx context.Context, req infer.DeleteRequest[UserRunnerState]) (infer.DeleteResponse, error) {
	_, err := client(ctx).Runners.RemoveRunner(req.ID, api.WithContext(ctx))
	if err != nil {
		return infer.DeleteResponse{}, fmt.Errorf("GitLab API Error occurred: Unable to delete runner: %w", err)
	}
	return infer.DeleteResponse{}, nil
}

// over lays what the program says over what is known.
func (in UserRunnerInputs) over(state UserRunnerState) UserRunnerState {
	state.RunnerType = in.RunnerType
	if in.GroupID != nil {
		state.GroupID = in.GroupID
	}
	if in.ProjectID != nil {
		state.ProjectID = in.ProjectID
	}
	state.Description = or(in.Description, state.Description)
	state.Paused = or(in.Paused, state.Paused)
	state.Locked = or(in.Locked, state.Locked)
	state.Untagged = or(in.Untagged, state.Untagged)
	state.TagLists = or(in.TagLists, state.TagLists)
	state.AccessLevel = or(in.AccessLevel, state.AccessLevel)
	state.MaximumTimeout = or(in.MaximumTimeout, state.MaximumTimeout)
	state.MaintenanceNote = or(in.MaintenanceNote, state.MaintenanceNote)
	return state
}

// found gives the inputs the values that GitLab has: those that the program says, and all of them
// for a runner that is imported.
func (in UserRunnerInputs) found(state UserRunnerState, imported bool) UserRunnerInputs {
	in.RunnerType = state.RunnerType
	adopt(&in.GroupID, or(state.GroupID, 0), imported && state.GroupID != nil)
	adopt(&in.ProjectID, or(state.ProjectID, 0), imported && state.ProjectID != nil)
	adopt(&in.Description, state.Description, imported)
	adopt(&in.Paused, state.Paused, imported)
	adopt(&in.Locked, state.Locked, imported)
	adopt(&in.Untagged, state.Untagged, imported)
	adopt(&in.AccessLevel, state.AccessLevel, imported)
	adopt(&in.MaximumTimeout, state.MaximumTimeout, imported && state.MaximumTimeout > 0)
	adopt(&in.MaintenanceNote, state.MaintenanceNote, imported)
	if imported || in.TagLists != nil && !sameSet(*in.TagLists, state.TagLists) {
		in.TagLists = &state.TagLists
	}
	return in
}

func adopt[T any](input **T, value T, always bool) {
	if *input != nil || always {
		*input = &value
	}
}

// merge takes what GitLab says.
func (s *UserRunnerState) merge(d *api.RunnerDetails) {
	s.RunnerType = d.RunnerType
	s.Description = d.Description
	s.Paused = d.Paused
	s.Locked = d.Locked
	s.Untagged = d.RunUntagged
	s.AccessLevel = d.AccessLevel
	s.MaximumTimeout = d.MaximumTimeout
	s.MaintenanceNote = d.MaintenanceNote
	// A set: another order is no change.
	if s.TagLists == nil || !sameSet(s.TagLists, d.TagList) {
		s.TagLists = append([]string{}, d.TagList...)
	}
	if len(d.Projects) > 0 && d.RunnerType == "project_type" {
		s.ProjectID = &d.Projects[0].ID
	}
	if len(d.Groups) > 0 && d.RunnerType == "group_type" {
		s.GroupID = &d.Groups[0].ID
	}
}
