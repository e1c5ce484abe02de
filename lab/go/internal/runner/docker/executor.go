// Package docker runs the stages of a build in containers.
package docker

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/build"
	"gitlab-runner-proxmox/lab/internal/runner/config"
	"gitlab-runner-proxmox/lab/internal/runner/engine"
	"gitlab-runner-proxmox/lab/internal/runner/joblog"
)

const (
	cleanupTimeout = 5 * time.Minute
	createTimeout  = 2 * time.Minute

	stagePrepare         = "docker_prepare"
	stageRun             = "docker_run"
	stageCleanup         = "docker_cleanup"
	stageBuildVolumes    = "docker_creating_build_volumes"
	stageServices        = "docker_creating_services"
	stageUserVolumes     = "docker_creating_user_volumes"
	stagePullingImage    = "docker_pulling_image"
	typeBuild            = "build"
	typePredefined       = "predefined"
	typeService          = "service"
	typeWait             = "wait"
	typeCacheInit        = "cache-init"
	helperBinary         = "gitlab-runner-helper"
	buildBinary          = "gitlab-runner-build"
	defaultHelperImages  = "/usr/lib/gitlab-runner/helper-images"
	relativeHelperImages = "../lib/gitlab-runner/helper-images"
)

// Executor runs one build in containers of its own.
type Executor struct {
	b      *build.Build
	log    *joblog.Log
	docker *config.Docker

	client *engine.Client
	info   engine.Info
	unique string

	image       string
	helper      *engine.Image
	used        map[string]string
	networkMode string
	networkID   string
	volumes     volumes
	links       []string

	mu         sync.Mutex
	temporary  []string
	containers map[string]string
}

// New returns the executor of a build; its log gets what containers print.
func New(b *build.Build, log *joblog.Log) *Executor {
	return &Executor{b: b, log: log, docker: b.Runner.Docker}
}

// reset forgets what an earlier try has made.
func (e *Executor) reset() {
	suffix := make([]byte, 8)
	_, _ = rand.Read(suffix)
	e.unique = e.b.UniqueName() + "-" + hex.EncodeToString(suffix)
	e.used, e.containers = map[string]string{}, map[string]string{}
	e.temporary, e.links = nil, nil
	e.networkMode, e.networkID, e.helper = "", "", nil
	e.volumes = volumes{}
}

// Prepare implements build.Executor.
func (e *Executor) Prepare(ctx context.Context) error {
	e.b.SetExecutorStage(stagePrepare)
	e.reset()
	if e.docker == nil {
		return errors.New("missing docker configuration")
	}
	if err := e.connect(ctx); err != nil {
		return err
	}
	var err error
	if e.image, err = e.allowedImage(e.b.Job.Image.Name); err != nil {
		return err
	}
	e.log.Println("Using Docker executor with image " + e.image + " ...")
	for _, part := range []func(context.Context) error{
		e.createNetwork, e.findHelper, e.createVolumes, e.createServices, e.prepareImage,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (e *Executor) connect(ctx context.Context) error {
	client, err := engine.Connect(ctx, engine.Options{
		Host: e.docker.Host, TLSCertPath: e.docker.TLSCertPath, TLSVerify: e.docker.TLSVerify,
	})
	if err != nil {
		return fmt.Errorf("creating docker connection: %w", err)
	}
	info, err := client.Info(ctx)
	if err != nil {
		client.Close()
		return fmt.Errorf("getting docker info: %w", err)
	}
	if info.OSType != "linux" {
		client.Close()
		return fmt.Errorf("unsupported os type: %s", info.OSType)
	}
	e.client, e.info = client, info
	return nil
}

// prepareImage brings the job's image, so that its pull stands where the real runner shows it.
func (e *Executor) prepareImage(ctx context.Context) error {
	_, err := e.bring(ctx, e.image, e.b.Job.Image.Options.Docker.Platform, e.b.Job.Image.PullPolicies)
	return err
}

// Cleanup implements build.Executor.
func (e *Executor) Cleanup() {
	if e.client == nil {
		return
	}
	e.b.SetExecutorStage(stageCleanup)
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancel()
	e.mu.Lock()
	ids := e.temporary
	e.temporary = nil
	e.mu.Unlock()
	var group sync.WaitGroup
	for _, id := range ids {
		group.Go(func() {
			if err := e.remove(ctx, id); err != nil {
				e.log.Error("Failed to remove container " + id + ": " + err.Error())
			}
		})
	}
	group.Wait()
	e.removeVolumes(ctx)
	e.removeNetwork(ctx)
	e.client.Close()
	e.client = nil
}

func (e *Executor) remove(ctx context.Context, id string) error {
	err := e.client.RemoveContainer(ctx, id)
	if engine.IsNotFound(err) {
		return nil
	}
	return err
}

// detach gives work the time to end after ctx has: what the engine makes although nobody waits for
// the answer would be left over.
func detach(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
}

// create makes a container that is removed at the end.
func (e *Executor) create(ctx context.Context, spec engine.Spec) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	creating, cancel := detach(ctx)
	defer cancel()
	id, _, err := e.client.CreateContainer(creating, spec)
	if id != "" {
		e.remember(id)
	}
	return id, err
}

// remember marks a container for removal at the end.
func (e *Executor) remember(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.temporary = append(e.temporary, id)
}

func (e *Executor) expand(text string) string { return e.b.Variables().ExpandValue(text) }

func systemFailure(err error) error {
	return &build.Error{Reason: api.RunnerSystemFailure, Err: err}
}
