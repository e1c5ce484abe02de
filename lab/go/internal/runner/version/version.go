// Package version says which gitlab-runner this program stands for.
package version

import (
	"fmt"
	"runtime"
)

// Set by the linker (-X). The defaults are the release whose contract the stand-in keeps.
var (
	// Version is the release.
	Version = "19.3.0"
	// Revision is the commit that it was built from.
	Revision = "standin0"
	// Branch is the branch of that commit.
	Branch = "19-3-stable"
	// Built is when it was built, RFC 3339.
	Built = "unknown"
)

// Name is what the program calls itself to GitLab.
const Name = "gitlab-runner"

// Line is the short form that opens every job's log.
func Line() string {
	return fmt.Sprintf("%s %s (%s)", Name, Version, Revision)
}

// UserAgent identifies the program in HTTP requests.
func UserAgent() string {
	return fmt.Sprintf("%s %s (%s; %s; %s/%s)",
		Name, Version, Branch, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Platform is where the program runs, such as linux/amd64.
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

// Labels describe the program in metrics.
func Labels() map[string]string {
	return map[string]string{
		"architecture": runtime.GOARCH, "branch": Branch, "built_at": Built, "go_version": runtime.Version(),
		"name": Name, "os": runtime.GOOS, "revision": Revision, "version": Version,
	}
}

// Text is what --version prints.
func Text() string {
	return fmt.Sprintf(
		"Version:      %s\nGit revision: %s\nGit branch:   %s\nGO version:   %s\nBuilt:        %s\nOS/Arch:      %s/%s\n",
		Version, Revision, Branch, runtime.Version(), Built, runtime.GOOS, runtime.GOARCH)
}
