package docker

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"gitlab-runner-proxmox/lab/internal/runner/engine"
)

// volumes are what a build's containers have mounted.
type volumes struct {
	binds []string
	// places are the paths in containers that are taken.
	places map[string]bool
	// temporary volumes go with the build.
	temporary []string
	// fresh are paths of volumes that were made for this build.
	fresh []string
}

var errTaken = errors.New("volume for container path is already defined")

func (v *volumes) take(place string) error {
	if v.places == nil {
		v.places = map[string]bool{}
	}
	if v.places[place] {
		return fmt.Errorf("%w: %q", errTaken, place)
	}
	v.places[place] = true
	return nil
}

// createVolumes makes the volumes of config.toml and the one for the builds.
func (e *Executor) createVolumes(ctx context.Context) error {
	e.b.SetExecutorStage(stageUserVolumes)
	for _, definition := range e.docker.Volumes {
		if err := e.createVolume(ctx, e.expand(definition)); err != nil {
			return err
		}
	}
	e.b.SetExecutorStage(stageBuildVolumes)
	root := e.b.RootDir()
	kept := e.b.Fetches() && !e.docker.DisableCache
	err := e.createCacheVolume(ctx, root, !kept)
	if err != nil && !errors.Is(err, errTaken) {
		return err
	}
	return e.openVolumes(ctx)
}

func (e *Executor) createVolume(ctx context.Context, definition string) error {
	parts := strings.Split(definition, ":")
	switch {
	case definition == "":
		return nil
	case len(parts) > 1:
		if len(parts) > 4 {
			return fmt.Errorf("invalid volume specification: %q", definition)
		}
		place := e.absolute(parts[1])
		if err := e.volumes.take(place); err != nil {
			return err
		}
		parts[1] = place
		e.volumes.binds = append(e.volumes.binds, strings.Join(parts, ":"))
		return nil
	case e.docker.DisableCache:
		e.log.Warning(fmt.Sprintf("Container based cache volumes creation is disabled. Will not create volume for %q", definition))
		return nil
	}
	return e.createCacheVolume(ctx, e.absolute(definition), false)
}

func (e *Executor) absolute(place string) string {
	if path.IsAbs(place) {
		return place
	}
	return path.Join(e.b.ProjectDir(), place)
}

// createCacheVolume makes a volume that the next job of this slot and project finds again; a
// temporary one goes with the build.
func (e *Executor) createCacheVolume(ctx context.Context, place string, temporary bool) error {
	if err := e.volumes.take(place); err != nil {
		return err
	}
	suffix := fmt.Sprintf("cache-%x", md5.Sum([]byte(place)))
	if e.docker.CacheDir != "" && !temporary {
		host, err := filepath.Abs(filepath.Join(e.docker.CacheDir, e.b.UniqueName(), suffix))
		if err != nil {
			return err
		}
		e.volumes.binds = append(e.volumes.binds, host+":"+place)
		return nil
	}
	name := fmt.Sprintf("runner-%x-%s", sha256.Sum256([]byte(e.b.UniqueName())), suffix)
	if temporary {
		name = e.unique + "-" + suffix
	}
	if e.b.Protected() {
		name += "-protected"
	}
	if temporary {
		e.volumes.temporary = append(e.volumes.temporary, name)
	}
	exists, err := e.client.VolumeExists(ctx, name)
	if err != nil {
		return err
	}
	if !exists {
		labels := e.labels("cache", map[string]string{"destination": place})
		creating, cancel := detach(ctx)
		defer cancel()
		if err := e.client.CreateVolume(creating, name, e.docker.VolumeDriver, e.docker.VolumeDriverOps, labels); err != nil {
			return err
		}
		e.volumes.fresh = append(e.volumes.fresh, place)
	}
	e.volumes.binds = append(e.volumes.binds, name+":"+place)
	return nil
}

// openVolumes lets every user of a container write to new volumes.
func (e *Executor) openVolumes(ctx context.Context) error {
	if len(e.volumes.fresh) == 0 || e.b.Flag("FF_DISABLE_UMASK_FOR_DOCKER_EXECUTOR") {
		return nil
	}
	spec := engine.Spec{
		Name: e.unique + "-" + typeCacheInit,
		Config: engine.Config{
			Image: e.helper.ID, Cmd: append([]string{helperBinary, "cache-init"}, e.volumes.fresh...),
			Labels: e.labels(typeCacheInit, nil),
		},
		Host: engine.HostConfig{
			Binds: e.volumes.binds, LogConfig: engine.LogConfig{Type: "json-file"}, NetworkMode: "none",
		},
	}
	id, err := e.create(ctx, spec)
	if err != nil {
		return fmt.Errorf("set volume permissions: %w", err)
	}
	if err := e.client.StartContainer(ctx, id); err != nil {
		return fmt.Errorf("set volume permissions: %w", err)
	}
	code, err := e.client.WaitContainer(ctx, id)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit code %d", code)
	}
	if err == nil {
		err = e.remove(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("set volume permissions: %w", err)
	}
	return nil
}

func (e *Executor) removeVolumes(ctx context.Context) {
	if e.docker.VolumeKeep {
		return
	}
	for _, name := range e.volumes.temporary {
		if err := e.client.RemoveVolume(ctx, name); err != nil && !engine.IsNotFound(err) {
			e.log.Error("Failed to cleanup volumes: " + err.Error())
		}
	}
	e.volumes.temporary = nil
}
