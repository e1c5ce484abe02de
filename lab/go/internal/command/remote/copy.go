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
	if source := req.NewInputs.Get("source"); !source.HasComputed() {
		failures = append(failures, refuse(inputs.Source)...)
	}
	return infer.CheckResponse[CopyInputs]{Inputs: inputs, Failures: failures}, nil
}

// refuse names the property as the published plugin does: neither "asset" nor "archive" is one.
func refuse(source types.AssetOrArchive) []p.CheckFailure {
	switch asset, archive := source.Asset, source.Archive; {
	case asset == nil && archive == nil:
		return []p.CheckFailure{{Property: "asset", Reason: "either asset or archive must be set"}}
	case asset != nil && !asset.IsPath() && !asset.IsText():
		return []p.CheckFailure{{
			Property: "asset", Reason: "asset must be a path-based file asset or a text asset",
		}}
	case archive != nil && !archive.IsPath():
		return []p.CheckFailure{{
			Property: "archive", Reason: "archive must be a path to a file or directory",
		}}
	}
	return nil
}

// Create copies.
func (*CopyToRemote) Create(ctx context.Context, req infer.CreateRequest[CopyInputs]) (
	infer.CreateResponse[CopyState], error,
) {
	state := CopyState{req.Inputs}
	id, err := shared.NewID()
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
	return source.Archive.Hash
}

func (s *CopyState) copy(ctx context.Context) error {
	client, err := s.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	files, err := sftp.NewClient(client, sftp.UseConcurrentWrites(true))
	if err != nil {
		return err
	}
	defer func() { _ = files.Close() }()

	target := s.RemotePath
	if err := makeParent(files, target); err != nil {
		return err
	}
	existing, err := stat(files, target)
	if err != nil {
		return err
	}
	intoFolder := existing != nil && existing.IsDir()
	if asset := s.Source.Asset; asset != nil && asset.IsText() {
		if intoFolder {
			return fmt.Errorf("remote path %s is a directory; "+
				"when using a text asset, remotePath must be a file path", target)
		}
		return write(files, strings.NewReader(asset.Text), target)
	}
	source := s.path()
	info, err := os.Stat(source)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return copyFolder(files, source, target)
	case intoFolder:
		target = path.Join(target, filepath.Base(source))
	}
	return copyFile(files, source, target)
}

func (s *CopyState) path() string {
	if s.Source.Asset != nil {
		return s.Source.Asset.Path
	}
	return s.Source.Archive.Path
}

// copyFolder copies the folder itself, or its content when the path ends with a slash, as rsync does.
func copyFolder(files *sftp.Client, source, target string) error {
	if err := makeFolder(files, target); err != nil {
		return err
	}
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
			return makeFolder(files, remote)
		}
		return copyFile(files, name, remote)
	})
}

// copyFile keeps no mode: a new file gets the server's default.
func copyFile(files *sftp.Client, source, target string) error {
	file, err := os.Open(source)
	if err != nil {
		return err
	}
	return errors.Join(write(files, file, target), file.Close())
}

func write(files *sftp.Client, source io.Reader, target string) error {
	file, err := files.Create(target)
	if err != nil {
		return fmt.Errorf("failed to create remote file %s: %w", target, err)
	}
	_, err = file.ReadFrom(source)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("failed to copy to remote path %s: %w", target, err)
	}
	return nil
}

// makeFolder makes the folder and what is missing above it.
func makeFolder(files *sftp.Client, folder string) error {
	existing, err := stat(files, folder)
	switch {
	case err != nil:
		return err
	case existing == nil:
		if err := files.MkdirAll(folder); err != nil {
			return fmt.Errorf("failed to create remote directory %s: %w", folder, err)
		}
	case !existing.IsDir():
		return fmt.Errorf("remote path %s exists but is not a directory", folder)
	}
	return nil
}

func makeParent(files *sftp.Client, target string) error {
	// A path without a folder is relative to the home of the user, which is there.
	if parent := path.Dir(target); parent != "." {
		return makeFolder(files, parent)
	}
	return nil
}

// stat gives nil for what is not there.
func stat(files *sftp.Client, name string) (fs.FileInfo, error) {
	info, err := files.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("failed to stat remote path %s: %w", name, err)
	}
	return info, nil
}
