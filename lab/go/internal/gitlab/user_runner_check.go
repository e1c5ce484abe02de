package gitlab

import (
	"context"
	"fmt"
	"slices"
	"strings"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
)

const (
	shortestTimeout = 600
	longestNote     = 1024
)

var (
	runnerTypes  = []string{"instance_type", "group_type", "project_type"}
	accessLevels = []string{"not_protected", "ref_protected"}
)

// Check refuses what the published provider refuses before it asks GitLab.
func (*UserRunner) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[UserRunnerInputs], error) {
	in, failures, err := infer.DefaultCheck[UserRunnerInputs](ctx, req.NewInputs)
	if err != nil {
		return infer.CheckResponse[UserRunnerInputs]{}, err
	}
	if len(failures) == 0 {
		failures = append(checkScope(req.NewInputs, in.RunnerType), checkValues(in)...)
	}
	return infer.CheckResponse[UserRunnerInputs]{Inputs: in, Failures: failures}, nil
}

// checkScope holds the ids to the type. An id that a preview does not know yet counts as given.
func checkScope(inputs property.Map, runnerType string) []p.CheckFailure {
	given := func(name string) bool {
		value, ok := inputs.GetOk(name)
		return ok && !value.IsNull()
	}
	group, project := given("groupId"), given("projectId")
	var failures []p.CheckFailure
	refuse := func(when bool, property, summary, detail string) {
		if when {
			failures = append(failures, p.CheckFailure{Property: property, Reason: summary + ". " + detail})
		}
	}
	switch runnerType {
	case "group_type":
		refuse(!group, "groupId", `Group ID not provided when Runner Type is set to "group_type".`,
			`When creating a Group Runner, a Group ID must be provided. The Group ID was not provided, `+
				`but the Runner Type value was set to "group_type". Please provide a Group ID!`)
		refuse(project, "projectId", `Project ID must not be provided when Runner Type is set to "group_type".`,
			`When creating a Group Runner, "project_id" must not be provided.`)
	case "project_type":
		refuse(!project, "projectId", `Project ID not provided when Runner Type is set to "project_id".`,
			`When creating a Project Runner, a Project ID must be provided. The Project ID was not provided, `+
				`but the Runner Type value was set to "project_id". Please provide a Project ID!`)
		refuse(group, "groupId", `Group ID must not be provided when Runner Type is set to "project_type".`,
			`When creating a Project Runner, "group_id" must not be provided.`)
	case "instance_type":
		refuse(group || project, "runnerType",
			`Runner Type was set to "instance_type", but a project or group ID was provided`,
			`When creating an Instance Runner, a Project ID or Group ID was provided. `+
				`Those attributes are invalid for an Instance Runner, and should be removed.`)
	}
	return failures
}

// checkValues looks at the values that are known: an unknown one is empty here.
func checkValues(in UserRunnerInputs) []p.CheckFailure {
	var failures []p.CheckFailure
	refuse := func(property, format string, args ...any) {
		failures = append(failures, p.CheckFailure{Property: property, Reason: fmt.Sprintf(format, args...)})
	}
	oneOf := func(property, attribute, value string, allowed []string) {
		if value != "" && !slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, value) }) {
			refuse(property, "Invalid Attribute Value Match. Attribute %s value must be one of: %q, got: %q",
				attribute, allowed, value)
		}
	}
	oneOf("runnerType", "runner_type", in.RunnerType, runnerTypes)
	oneOf("accessLevel", "access_level", or(in.AccessLevel, ""), accessLevels)
	if timeout := or(in.MaximumTimeout, shortestTimeout); timeout < shortestTimeout {
		refuse("maximumTimeout", "Invalid Attribute Value. Attribute maximum_timeout value must be at least %d, got: %d",
			shortestTimeout, timeout)
	}
	if note := []rune(or(in.MaintenanceNote, "")); len(note) > longestNote {
		refuse("maintenanceNote", "Invalid Attribute Value Length. Attribute maintenance_note UTF-8 character count "+
			"must be at most %d, got: %d", longestNote, len(note))
	}
	return failures
}

// Diff replaces the record when its scope changes, and updates it otherwise. What the program does
// not say is never a change.
func (*UserRunner) Diff(_ context.Context, req infer.DiffRequest[UserRunnerInputs, UserRunnerState]) (
	infer.DiffResponse, error,
) {
	old, wanted := req.State, req.Inputs
	diff := map[string]p.PropertyDiff{}
	note := func(name string, changed bool, kind p.DiffKind) {
		if changed {
			diff[name] = p.PropertyDiff{Kind: kind, InputDiff: true}
		}
	}
	note("runnerType", old.RunnerType != wanted.RunnerType, p.UpdateReplace)
	note("groupId", or(old.GroupID, 0) != or(wanted.GroupID, or(old.GroupID, 0)), p.UpdateReplace)
	note("projectId", or(old.ProjectID, 0) != or(wanted.ProjectID, or(old.ProjectID, 0)), p.UpdateReplace)
	note("description", differs(wanted.Description, old.Description), p.Update)
	note("paused", differs(wanted.Paused, old.Paused), p.Update)
	note("locked", differs(wanted.Locked, old.Locked), p.Update)
	note("untagged", differs(wanted.Untagged, old.Untagged), p.Update)
	note("accessLevel", differs(wanted.AccessLevel, old.AccessLevel), p.Update)
	note("maximumTimeout", differs(wanted.MaximumTimeout, old.MaximumTimeout), p.Update)
	note("maintenanceNote", differs(wanted.MaintenanceNote, old.MaintenanceNote), p.Update)
	note("tagLists", wanted.TagLists != nil && !sameSet(*wanted.TagLists, old.TagLists), p.Update)
	return infer.DiffResponse{HasChanges: len(diff) > 0, DetailedDiff: diff}, nil
}

func differs[T comparable](wanted *T, old T) bool { return wanted != nil && *wanted != old }

func sameSet(a, b []string) bool {
	ordered := func(list []string) []string {
		list = slices.Clone(list)
		slices.Sort(list)
		return slices.Compact(list)
	}
	return slices.Equal(ordered(a), ordered(b))
}
