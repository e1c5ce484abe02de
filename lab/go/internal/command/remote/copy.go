package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"gitlab-runner-proxmox/lab/internal/command/shared"
)

// CopyToRemote copies a file or a folder to another machine over SFTP, as the user who logs in.
type CopyToRemote struct{}

// CopyInputs is what is copied, and where to.
type CopyInputs struct {
	Connection *Connection          `pulumi:"connection" provider:"secret"`
	Triggers   *[]any               `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Source     types.AssetOrArchive `pulumi:"source"`
	RemotePath string               `pulumi:"remotePath"`
}

// CopyState holds nothing beyond the inputs.
type CopyState struct {
	CopyInputs
}

// Check refuses what cannot be copied, already in a preview.
func (*CopyToRemote) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[CopyInputs], error) {
	inputs, failures, err := infer.DefaultCheck[CopyInputs](ctx, req.NewInputs)
	if err != nil {
		return infer.CheckResponse[CopyInputs]{}, err
	}
	response := infer.CheckResponse[CopyInputs]{Inputs: inputs, Failures: failures}
	if source, ok := req.NewInputs.GetOk("source"); ok && hasUnknown(source) {
		return response, nil
	}
	fail := func(reason string) {
		response.Failures = append(response.Failures, p.CheckFailure{Property: "source", Reason: reason})
	}
	switch source := inputs.Source; {
	case source.Asset == nil && source.Archive == nil:
		fail("either asset or archive must be set")
	case source.Asset != nil && !source.Asset.IsPath() && !source.Asset.IsText():
		fail("asset must be a path to a file or a string")
	case source.Archive != nil && !source.Archive.IsPath():
		fail("archive must be a path to a file or directory")
	}
	return response, nil
}

func hasUnknown(v property.Value) bool { return v.HasComputed() }

// Create copies.
func (*CopyToRemote) Create(ctx context.Context, req infer.CreateRequest[CopyInputs]) (
	infer.CreateResponse[CopyState], error,
) {
	state := CopyState{req.Inputs}
	id, err := shared.NewID("")
	if err != nil || req.DryRun {
		return infer.CreateResponse[CopyState]{ID: id, Output: state}, err
	}
	return infer.CreateResponse[CopyState]{ID: id, Output: state}, state.copy(ctx)
}

// Update copies again when the source or the path has changed; another connection is only noted.
func (*CopyToRemote) Update(ctx context.Context, req infer.UpdateRequest[CopyInputs, CopyState]) (
	infer.UpdateResponse[CopyState], error,
) {
	state := CopyState{req.Inputs}
	if req.DryRun || hashOf(req.State.Source) == hashOf(req.Inputs.Source) &&
		req.State.RemotePath == req.Inputs.RemotePath {
		return infer.UpdateResponse[CopyState]{Output: state}, nil
	}
	return infer.UpdateResponse[CopyState]{Output: state}, state.copy(ctx)
}

func hashOf(source types.AssetOrArchive) string {
	if source.Asset != nil {
		return source.Asset.Hash
	}
	if source.Archive != nil {
		return source.Archive.Hash
	}
	return ""
}

func (s *CopyState) copy(ctx context.Context) error {
	ssh, err := s.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = ssh.Close() }()
	client, err := sftp.NewClient(ssh)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()

	if asset := s.Source.Asset; asset != nil {
		if asset.IsText() {
			return upload(client, strings.NewReader(asset.Text), s.RemotePath)
		}
		return uploadFile(client, asset.Path, s.RemotePath)
	}
	source := s.Source.Archive.Path
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return uploadFile(client, source, s.RemotePath)
	}
	return uploadFolder(client, source, s.RemotePath)
}

// uploadFolder copies the folder itself, or its content when the path ends with a slash, as rsync does.
func uploadFolder(client *sftp.Client, source, target string) error {
	if !strings.HasSuffix(source, "/") {
		target = path.Join(target, filepath.Base(source))
	}
	return filepath.WalkDir(source, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		remote := path.Join(target, filepath.ToSlash(relative))
		if entry.IsDir() {
			return client.MkdirAll(remote)
		}
		return uploadFile(client, name, remote)
	})
}

func uploadFile(client *sftp.Client, source, target string) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	return errors.Join(upload(client, file, target), file.Close())
}

func upload(client *sftp.Client, source io.Reader, target string) error {
	if parent := path.Dir(target); parent != "." && parent != "/" {
		if err := client.MkdirAll(parent); err != nil {
			return fmt.Errorf("failed to create directory %s: %w", parent, err)
		}
	}
	file, err := client.Create(target)
	if err != nil {
		return fmt.Errorf("failed to create remote file %s: %w", target, err)
	}
	_, err = file.ReadFrom(source)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("failed to copy to %s: %w", target, err)
	}
	return nil
}
