package plugintest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/archive"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/asset"
)

func must[T any](t *testing.T, value T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// Text is a StringAsset.
func Text(t *testing.T, text string) *asset.Asset {
	made, err := asset.FromText(text)
	return must(t, made, err)
}

// File is a FileAsset.
func File(t *testing.T, path string) *asset.Asset {
	made, err := asset.FromPath(path)
	return must(t, made, err)
}

// URL is a RemoteAsset, whose content nobody looks at.
func URL(_ *testing.T, url string) *asset.Asset {
	return &asset.Asset{Sig: asset.AssetSig, Hash: "unknown", URI: url}
}

// Archive is a FileArchive.
func Archive(t *testing.T, path string) *archive.Archive {
	made, err := archive.FromPath(path)
	return must(t, made, err)
}

// AssetArchive is an AssetArchive with one text in it.
func AssetArchive(t *testing.T, name, text string) *archive.Archive {
	made, err := archive.FromAssets(map[string]any{name: Text(t, text)})
	return must(t, made, err)
}

// Tar packs a folder and gives the file.
func Tar(t *testing.T, folder string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "it.tar.gz")
	if out, err := exec.Command("tar", "-czf", file, "-C", folder, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	return file
}

// WriteFiles writes files into a folder, by their paths in it.
func WriteFiles(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ReadFiles reads all files below a folder.
func ReadFiles(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		files[name] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
