package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	api "gitlab.com/gitlab-org/api/client-go"
)

const (
	shortestTimeout = 600
	longestNote     = 1024
)

// UserRunner is a runner record that a user created: POST /user/runners.
type UserRunner struct{}

// UserRunnerInputs is what may be said of a runner.
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

// UserRunnerState adds the token, which GitLab tells only once.
type UserRunnerState struct {
	UserRunnerInputs
	Token *string `pulumi:"token,optional" provider:"secret"`
}

// Annotate sets the token under which the npm SDK knows the resource.
func (r *UserRunner) Annotate(a infer.Annotator) { a.SetToken("index/userRunner", "UserRunner") }

// Check refuses what the published provider refuses before it asks GitLab.
func (*UserRunner) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[UserRunnerInputs], error) {
	in, failures, err := infer.DefaultCheck[UserRunnerInputs](ctx, req.NewInputs)
	if err != nil {
		return infer.CheckResponse[UserRunnerInputs]{}, err
	}
	fail := func(property, reason string) {
		failures = append(failures, p.CheckFailure{Property: property, Reason: reason})
	}
	known := func(name string) bool {
		value, ok := req.NewInputs.GetOk(name)
		return ok && !value.HasComputed()
	}
	given := func(name string) bool {
		value, ok := req.NewInputs.GetOk(name)
		return ok && !value.IsNull()
	}
	if known("runnerType") {
		switch in.RunnerType {
		case "instance_type":
			if given("groupId") || given("projectId") {
				fail("runnerType", "an instance_type runner takes neither groupId nor projectId")
			}
		case "group_type":
			if !given("groupId") || given("projectId") {
				fail("groupId", "a group_type runner takes groupId, and no projectId")
			}
		case "project_type":
			if !given("projectId") || given("groupId") {
				fail("projectId", "a project_type runner takes projectId, and no groupId")
			}
		default:
			fail("runnerType", fmt.Sprintf("%q is none of instance_type, group_type, project_type", in.RunnerType))
		}
	}
	if known("maximumTimeout") && in.MaximumTimeout != nil && *in.MaximumTimeout < shortestTimeout {
		fail("maximumTimeout", fmt.Sprintf("must be at least %d, got %d", shortestTimeout, *in.MaximumTimeout))
	}
	if known("maintenanceNote") && in.MaintenanceNote != nil && len(*in.MaintenanceNote) > longestNote {
		fail("maintenanceNote", fmt.Sprintf("must have at most %d characters", longestNote))
	}
	if known("accessLevel") && in.AccessLevel != nil &&
		!slices.Contains([]string{"not_protected", "ref_protected"}, *in.AccessLevel) {
		fail("accessLevel", fmt.Sprintf("%q is neither not_protected nor ref_protected", *in.AccessLevel))
	}
	return infer.CheckResponse[UserRunnerInputs]{Inputs: in, Failures: failures}, nil
}

// Diff replaces the record when its scope changes, and updates it otherwise.
func (*UserRunner) Diff(_ context.Context, req infer.DiffRequest[UserRunnerInputs, UserRunnerState]) (
	infer.DiffResponse, error,
) {
	old, new := req.State.UserRunnerInputs, req.Inputs
	diff := map[string]p.PropertyDiff{}
	note := func(name string, changed bool, kind p.DiffKind) {
		if changed {
			diff[name] = p.PropertyDiff{Kind: kind, InputDiff: true}
		}
	}
	note("runnerType", old.RunnerType != new.RunnerType, p.UpdateReplace)
	note("groupId", set(new.GroupID, old.GroupID), p.UpdateReplace)
	note("projectId", set(new.ProjectID, old.ProjectID), p.UpdateReplace)
	// What the program does not say, GitLab decides: such a field is computed and never a change.
	note("description", set(new.Description, old.Description), p.Update)
	note("paused", set(new.Paused, old.Paused), p.Update)
	note("locked", set(new.Locked, old.Locked), p.Update)
	note("untagged", set(new.Untagged, old.Untagged), p.Update)
	note("accessLevel", set(new.AccessLevel, old.AccessLevel), p.Update)
	note("maximumTimeout", set(new.MaximumTimeout, old.MaximumTimeout), p.Update)
	note("maintenanceNote", set(new.MaintenanceNote, old.MaintenanceNote), p.Update)
	note("tagLists", new.TagLists != nil && !sameSet(*new.TagLists, old.TagLists), p.Update)
	return infer.DiffResponse{HasChanges: len(diff) > 0, DetailedDiff: diff}, nil
}

func set[T comparable](new, old *T) bool { return new != nil && (old == nil || *new != *old) }

func sameSet(a []string, b *[]string) bool {
	if b == nil {
		return len(a) == 0
	}
	left, right := slices.Clone(a), slices.Clone(*b)
	slices.Sort(left)
	slices.Sort(right)
	return slices.Equal(slices.Compact(left), slices.Compact(right))
}

// Create makes the record and reads it back.
func (*UserRunner) Create(ctx context.Context, req infer.CreateRequest[UserRunnerInputs]) (
	infer.CreateResponse[UserRunnerState], error,
) {
	in := req.Inputs
	state := UserRunnerState{UserRunnerInputs: in}
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
		return infer.CreateResponse[UserRunnerState]{}, fmt.Errorf("could not create the runner: %w", err)
	}
	state.Token = &made.Token
	id := strconv.FormatInt(made.ID, 10)
	details, _, err := client(ctx).Runners.GetRunnerDetails(made.ID, api.WithContext(ctx))
	if err != nil {
		// The record exists: the state has to know it, or nobody removes it.
		return infer.CreateResponse[UserRunnerState]{ID: id, Output: state},
			infer.ResourceInitFailedError{Reasons: []string{fmt.Sprintf("runner %s was created but could not be read: %v", id, err)}}
	}
	state.merge(details)
	return infer.CreateResponse[UserRunnerState]{ID: id, Output: state}, nil
}

// Read looks at the record; one that is gone leaves the state.
func (*UserRunner) Read(ctx context.Context, req infer.ReadRequest[UserRunnerInputs, UserRunnerState]) (
	infer.ReadResponse[UserRunnerInputs, UserRunnerState], error,
) {
	details, response, err := client(ctx).Runners.GetRunnerDetails(req.ID, api.WithContext(ctx))
	if notFound(response, err) {
		return infer.ReadResponse[UserRunnerInputs, UserRunnerState]{}, nil
	}
	if err != nil {
		return infer.ReadResponse[UserRunnerInputs, UserRunnerState]{}, fmt.Errorf("could not read runner %s: %w", req.ID, err)
	}
	state := req.State
	state.merge(details)
	inputs := state.UserRunnerInputs
	if req.Inputs.RunnerType != "" {
		inputs = overlay(req.Inputs, state.UserRunnerInputs)
	}
	return infer.ReadResponse[UserRunnerInputs, UserRunnerState]{ID: req.ID, Inputs: inputs, State: state}, nil
}

// overlay takes the values that GitLab has for those fields that the program says something about.
func overlay(said, found UserRunnerInputs) UserRunnerInputs {
	said.Description = pick(said.Description, found.Description)
	said.Paused = pick(said.Paused, found.Paused)
	said.Locked = pick(said.Locked, found.Locked)
	said.Untagged = pick(said.Untagged, found.Untagged)
	said.AccessLevel = pick(said.AccessLevel, found.AccessLevel)
	said.MaximumTimeout = pick(said.MaximumTimeout, found.MaximumTimeout)
	said.MaintenanceNote = pick(said.MaintenanceNote, found.MaintenanceNote)
	if said.TagLists != nil && !sameSet(*said.TagLists, found.TagLists) {
		said.TagLists = found.TagLists
	}
	return said
}

func pick[T any](said, found *T) *T {
	if said == nil {
		return nil
	}
	return found
}

// Update changes the record in place.
func (*UserRunner) Update(ctx context.Context, req infer.UpdateRequest[UserRunnerInputs, UserRunnerState]) (
	infer.UpdateResponse[UserRunnerState], error,
) {
	in := req.Inputs
	state := UserRunnerState{UserRunnerInputs: in, Token: req.State.Token}
	if req.DryRun {
		return infer.UpdateResponse[UserRunnerState]{Output: state}, nil
	}
	details, _, err := client(ctx).Runners.UpdateRunnerDetails(req.ID, &api.UpdateRunnerDetailsOptions{
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
		return infer.UpdateResponse[UserRunnerState]{}, fmt.Errorf("could not update runner %s: %w", req.ID, err)
	}
	state.merge(details)
	return infer.UpdateResponse[UserRunnerState]{Output: state}, nil
}

// Delete removes the record and with it its managers.
func (*UserRunner) Delete(ctx context.Context, req infer.DeleteRequest[UserRunnerState]) (infer.DeleteResponse, error) {
	response, err := client(ctx).Runners.RemoveRunner(req.ID, api.WithContext(ctx))
	if err != nil && !notFound(response, err) {
		return infer.DeleteResponse{}, fmt.Errorf("could not delete runner %s: %w", req.ID, err)
	}
	return infer.DeleteResponse{}, nil
}

func notFound(response *api.Response, err error) bool {
	return errors.Is(err, api.ErrNotFound) ||
		err != nil && response != nil && response.Response != nil && response.StatusCode == http.StatusNotFound
}

func (s *UserRunnerState) merge(d *api.RunnerDetails) {
	s.RunnerType = d.RunnerType
	s.Description = &d.Description
	s.Paused = &d.Paused
	s.Locked = &d.Locked
	s.Untagged = &d.RunUntagged
	s.AccessLevel = &d.AccessLevel
	s.MaximumTimeout = &d.MaximumTimeout
	s.MaintenanceNote = &d.MaintenanceNote
	if s.TagLists == nil || !sameSet(*s.TagLists, &d.TagList) {
		s.TagLists = &d.TagList
	}
	if len(d.Projects) > 0 && s.ProjectID == nil && d.RunnerType == "project_type" {
		s.ProjectID = &d.Projects[0].ID
	}
	if len(d.Groups) > 0 && s.GroupID == nil && d.RunnerType == "group_type" {
		s.GroupID = &d.Groups[0].ID
	}
}
