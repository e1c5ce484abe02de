package helper

import (
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// errOutside is a path in an archive that leads out of the folder it is unpacked in.
var errOutside = errors.New("the archive holds a path outside of the project")

// writeZip puts files, with their modes and links, into an archive.
func writeZip(out io.Writer, root string, files []string) error {
	archive := zip.NewWriter(out)
	for _, file := range files {
		if err := addToZip(archive, root, file); err != nil {
			return err
		}
	}
	return archive.Close()
}

func addToZip(archive *zip.Writer, root, file string) error {
	name := filepath.Join(root, file)
	info, err := os.Lstat(name)
	if err != nil {
		return err
	}
	header, err := zip.FileInfoHeader(info)
	if err != nil {
		return err
	}
	header.Name = filepath.ToSlash(file)
	switch {
	case info.IsDir():
		header.Name += "/"
		_, err = archive.CreateHeader(header)
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		writer, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		_, err = io.WriteString(writer, target)
		return err
	case !info.Mode().IsRegular():
		return nil
	}
	header.Method = zip.Deflate
	writer, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	return copyFile(writer, name)
}

func copyFile(writer io.Writer, name string) error {
	reader, err := os.Open(name)
	if err != nil {
		return err
	}
	defer reader.Close()
	_, err = io.Copy(writer, reader)
	return err
}

// writeGzip puts files one after another, each as a stream of its own.
func writeGzip(out io.Writer, root string, files []string) error {
	for _, file := range files {
		name := filepath.Join(root, file)
		info, err := os.Lstat(name)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			continue
		}
		stream := gzip.NewWriter(out)
		stream.Name, stream.ModTime = filepath.Base(file), info.ModTime()
		if err := copyFile(stream, name); err != nil {
			return err
		}
		if err := stream.Close(); err != nil {
			return err
		}
	}
	return nil
}

// writeRaw copies the one file that there is.
func writeRaw(out io.Writer, root string, files []string) error {
	if len(files) > 1 {
		return errors.New("only one file can be sent as raw")
	}
	if len(files) == 0 {
		return nil
	}
	return copyFile(out, filepath.Join(root, files[0]))
}

// extractZip unpacks an archive into a folder, over what is there.
func extractZip(file, root string) error {
	archive, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer archive.Close()
	for _, entry := range archive.File {
		if err := extractEntry(entry, root); err != nil {
			return fmt.Errorf("%s: %w", entry.Name, err)
		}
	}
	return nil
}

func extractEntry(entry *zip.File, root string) error {
	if !filepath.IsLocal(filepath.FromSlash(strings.TrimSuffix(entry.Name, "/"))) {
		return errOutside
	}
	// Links in the archive must not lead writes out of the folder either.
	folder, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer folder.Close()
	name := filepath.FromSlash(strings.TrimSuffix(entry.Name, "/"))
	mode := entry.Mode()
	if mode.IsDir() {
		if err := folder.MkdirAll(name, 0o777); err != nil {
			return err
		}
		return folder.Chmod(name, mode.Perm())
	}
	if dir := filepath.Dir(name); dir != "." {
		if err := folder.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	reader, err := entry.Open()
	if err != nil {
		return err
	}
	defer reader.Close()
	if err := folder.Remove(name); err != nil && !os.IsNotExist(err) {
		return err
	}
	if mode&fs.ModeSymlink != 0 {
		target, err := io.ReadAll(io.LimitReader(reader, 4096))
		if err != nil {
			return err
		}
		return folder.Symlink(string(target), name)
	}
	writer, err := folder.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(writer, reader)
	if closing := writer.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	if err := folder.Chmod(name, mode.Perm()); err != nil {
		return err
	}
	return folder.Chtimes(name, entry.Modified, entry.Modified)
}
