package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/engine"
	"gitlab-runner-proxmox/lab/internal/runner/version"
)

const (
	helperRepository = "registry.gitlab.com/gitlab-org/gitlab-runner/gitlab-runner-helper"
	defaultFlavor    = "alpine"
	importEntrypoint = `ENTRYPOINT ["/usr/bin/dumb-init", "/entrypoint"]`
)

var errDisallowed = errors.New("disallowed image")

// matchesAny tells whether an image's name matches one of the globs; `*` does not cross a slash.
func matchesAny(globs []string, image string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool {
		matched, err := doublestar.Match(glob, image)
		return err == nil && matched
	})
}

// allowedImage is the image that a job runs in: its own where that is allowed, else the default.
func (e *Executor) allowedImage(wanted string) (string, error) {
	standard := e.expand(e.docker.Image)
	if wanted == "" {
		if standard == "" {
			return "", errors.New("no Docker image specified to run the build in")
		}
		return standard, nil
	}
	image := e.expand(wanted)
	return image, e.verifyAllowed(image, "images", e.docker.AllowedImages, []string{standard})
}

func (e *Executor) verifyAllowed(image, option string, allowed, own []string) error {
	if len(allowed) == 0 || matchesAny(allowed, image) || slices.Contains(own, image) {
		return nil
	}
	e.log.Println()
	e.log.Error(fmt.Sprintf("The %q image is not present on list of allowed %s:", image, option))
	for _, glob := range allowed {
		e.log.Println("-", glob)
	}
	e.log.Println()
	e.log.Println("Please check runner's allowed_images configuration: " +
		"https://docs.gitlab.com/runner/configuration/advanced-configuration.html")
	return errDisallowed
}

// bring makes sure that the engine has an image, by the policies that job and runner agree on.
func (e *Executor) bring(ctx context.Context, name, platform string, wanted []string) (*engine.Image, error) {
	policies, err := e.docker.PullPolicies(wanted)
	if err != nil {
		return nil, systemFailure(fmt.Errorf("failed to pull image '%s': %w", name, err))
	}
	if _, known := e.used[name]; !known {
		e.log.Println(fmt.Sprintf("Using effective pull policy of %v for container %s", policies, name))
	}
	var failure error
	for index, policy := range policies {
		if index > 0 {
			e.log.Info(fmt.Sprintf("Attempt #%d: Trying %q pull policy", index+1, policy))
		}
		image, err := e.bringBy(ctx, name, platform, policy)
		if err == nil {
			e.noteUsed(name, image)
			return image, nil
		}
		failure = err
		if ctx.Err() != nil {
			break
		}
		e.log.Warning(fmt.Sprintf("Failed to pull image with policy %q: %v", policy, err))
	}
	failure = fmt.Errorf("failed to pull image %q with specified policies %v: %w", name, policies, failure)
	return nil, &build.Error{Reason: api.ImagePullFailure, Err: failure}
}

func (e *Executor) noteUsed(name string, image *engine.Image) {
	if e.used[name] == image.ID {
		return
	}
	e.used[name] = image.ID
	if len(image.RepoDigests) > 0 {
		e.log.Println("Using docker image", image.ID, "for", name, "with digest", image.RepoDigests[0], "...")
	} else {
		e.log.Println("Using docker image", image.ID, "for", name, "...")
	}
}

func (e *Executor) bringBy(ctx context.Context, name, platform, policy string) (*engine.Image, error) {
	existing, err := e.client.InspectImage(ctx, name)
	if policy == config.PullNever {
		return existing, err
	}
	if err == nil {
		if e.used[name] == existing.ID || existing.ID == name {
			return existing, nil
		}
		if policy == config.PullIfNotPresent {
			e.log.Println(fmt.Sprintf("Using locally found image version due to %q pull policy", policy))
			return existing, nil
		}
	} else if !engine.IsNotFound(err) {
		return nil, err
	}
	e.b.SetExecutorStage(stagePullingImage)
	defer e.b.SetExecutorStage(stagePrepare)
	auth, source, err := e.credentials(name)
	if err != nil {
		return nil, err
	}
	if auth != nil {
		e.log.Println("Authenticating with credentials from " + source)
	}
	e.log.Println("Pulling docker image", name, "...")
	if err := e.client.PullImage(ctx, name, platform, auth); err != nil {
		return nil, err
	}
	return e.client.InspectImage(ctx, name)
}

// helperImage is the name of the helper's image for this runner and this machine.
func (e *Executor) helperImage() (name, prebuilt string) {
	arch := e.info.Architecture
	switch arch {
	case "amd64":
		arch = "x86_64"
	case "aarch64":
		arch = "arm64"
	}
	flavor := e.expand(e.docker.HelperImageFlavor)
	tag := fmt.Sprintf("%s-v%s", arch, version.Version)
	if flavor != "" && flavor != defaultFlavor {
		tag = flavor + "-" + tag
	} else {
		flavor = defaultFlavor
	}
	return helperRepository + ":" + tag, fmt.Sprintf("prebuilt-%s-%s", flavor, arch)
}

// findHelper looks for the helper's image in the engine, in the archives of the package, and in the
// registry. An image that config.toml names is treated as any other.
func (e *Executor) findHelper(ctx context.Context) error {
	name, prebuilt := e.helperImage()
	if own := e.expand(e.docker.HelperImage); own != "" {
		e.log.Println("Using helper image: ", own, " (overridden, default would be ", name, ")")
		image, err := e.bring(ctx, own, "", nil)
		e.helper = image
		return err
	}
	image, err := e.client.InspectImage(ctx, name)
	if err == nil {
		e.helper = image
		return nil
	}
	if image = e.loadPrebuilt(ctx, name, prebuilt); image != nil {
		e.helper = image
		return nil
	}
	e.log.Println("Using helper image: ", name)
	e.helper, err = e.bring(ctx, name, "", nil)
	return err
}

func helperImageDirs() []string {
	var dirs []string
	if program, err := os.Executable(); err == nil {
		dir := filepath.Dir(program)
		dirs = append(dirs, filepath.Join(dir, "helper-images"), filepath.Join(dir, relativeHelperImages))
	}
	return append(dirs, defaultHelperImages)
}

// loadPrebuilt brings an archive of the package into the engine; nil when there is none, or none
// that works.
func (e *Executor) loadPrebuilt(ctx context.Context, name, prebuilt string) *engine.Image {
	for _, dir := range helperImageDirs() {
		for extension, load := range map[string]func(context.Context, io.Reader, string) error{
			".docker.tar.zst": e.loadZstd, ".tar.xz": e.importXz,
		} {
			file, err := os.Open(filepath.Join(dir, prebuilt+extension))
			if err != nil {
				continue
			}
			err = load(ctx, file, name)
			_ = file.Close()
			if err != nil {
				e.b.Log.WithError(err).Warning("Failed to load prebuilt helper image", file.Name())
				continue
			}
			if image, err := e.client.InspectImage(ctx, name); err == nil {
				return image
			}
		}
	}
	return nil
}

func splitTag(name string) (repository, tag string) {
	colon := strings.LastIndex(name, ":")
	return name[:colon], name[colon+1:]
}

func (e *Executor) loadZstd(ctx context.Context, archive io.Reader, name string) error {
	reader, err := zstd.NewReader(archive)
	if err != nil {
		return err
	}
	defer reader.Close()
	loaded, err := e.client.LoadImage(ctx, reader)
	if err != nil {
		return err
	}
	repository, tag := splitTag(name)
	return e.client.TagImage(ctx, loaded, repository, tag)
}

func (e *Executor) importXz(ctx context.Context, archive io.Reader, name string) error {
	reader, err := xz.NewReader(archive)
	if err != nil {
		return err
	}
	repository, tag := splitTag(name)
	return e.client.ImportImage(ctx, reader, repository, tag, []string{importEntrypoint})
}
