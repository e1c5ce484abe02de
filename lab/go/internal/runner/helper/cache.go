package helper

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli"
)

const defaultCacheTimeout = 10

func (p *program) cacheFlags() []cli.Flag {
	return []cli.Flag{
		cli.StringFlag{Name: "file", Usage: "The path to file"},
		cli.StringFlag{Name: "url", Usage: "URL of remote cache resource"},
		cli.IntFlag{Name: "timeout", Value: defaultCacheTimeout, Usage: "Overall timeout for cache transfer (in minutes)", EnvVar: "CACHE_TIMEOUT"},
	}
}

func (p *program) cacheArchiver() cli.Command {
	return cli.Command{
		Name:  "cache-archiver",
		Usage: "create and upload cache artifacts (internal)",
		Flags: append(append(p.cacheFlags(), selectionFlags()...),
			cli.Int64Flag{Name: "max-uploaded-archive-size", Usage: "Limit the size of the cache archive being uploaded to cloud storage, in bytes."}),
		Action: func(call *cli.Context) error {
			file := call.String("file")
			if file == "" {
				return errors.New("missing --file")
			}
			files, err := selectionOf(call, p.say).files()
			if err != nil {
				return err
			}
			if !newer(files, file) {
				p.say("Archive is up to date!")
				return nil
			}
			size, err := replaceFile(file, func(out io.Writer) error { return writeZip(out, ".", files) })
			if err != nil {
				return err
			}
			return p.uploadCache(call, file, size)
		},
	}
}

// newer tells whether one of the files has changed since the archive was made.
func newer(files []string, archive string) bool {
	made, err := os.Stat(archive)
	if err != nil {
		return true
	}
	for _, file := range files {
		info, err := os.Lstat(file)
		if err != nil || info.ModTime().After(made.ModTime()) {
			return true
		}
	}
	return false
}

// replaceFile writes a file anew, and puts it in the old one's place when it is whole.
func replaceFile(file string, write func(io.Writer) error) (int64, error) {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return 0, err
	}
	temp, err := os.CreateTemp(dir, "archive_")
	if err != nil {
		return 0, err
	}
	defer os.Remove(temp.Name())
	err = write(temp)
	info, statting := temp.Stat()
	if err := errors.Join(err, statting, temp.Chmod(0o666), temp.Close()); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(temp.Name(), file)
}

func (p *program) uploadCache(call *cli.Context, file string, size int64) error {
	url := call.String("url")
	if url == "" {
		p.say("No URL provided, cache will not be uploaded to shared cache server. Cache will be stored only locally.")
		return nil
	}
	if limit := call.Int64("max-uploaded-archive-size"); limit > 0 && size > limit {
		p.log.Info(fmt.Sprintf("Cache archive size (%d) is larger than the limit (%d), it is not uploaded", size, limit))
		return nil
	}
	body, err := os.Open(file)
	if err != nil {
		return err
	}
	defer body.Close()
	request, err := http.NewRequest(http.MethodPut, url, body)
	if err != nil {
		return err
	}
	request.ContentLength = size
	request.Header.Set("Content-Type", "application/octet-stream")
	client := &http.Client{Timeout: time.Duration(call.Int("timeout")) * time.Minute}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("received: %s", answer.Status)
	}
	return nil
}

func (p *program) cacheExtractor() cli.Command {
	return cli.Command{
		Name:  "cache-extractor",
		Usage: "download and extract cache artifacts (internal)",
		Flags: p.cacheFlags(),
		Action: func(call *cli.Context) error {
			file := call.String("file")
			if file == "" {
				return errors.New("missing cache file")
			}
			if url := call.String("url"); url != "" {
				if err := downloadCache(url, file, time.Duration(call.Int("timeout"))*time.Minute); err != nil {
					return err
				}
			} else {
				p.say("No URL provided, cache will not be downloaded from shared cache server. Instead a local version of cache will be extracted.")
			}
			err := extractZip(file, ".")
			if errors.Is(err, fs.ErrNotExist) {
				p.say("WARNING: Cache file does not exist")
				return errSilent
			}
			return err
		},
	}
}

func downloadCache(url, file string, limit time.Duration) error {
	client := &http.Client{Timeout: limit}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotFound:
		return os.ErrNotExist
	case answer.StatusCode/100 != 2:
		return fmt.Errorf("received: %s", answer.Status)
	}
	_, err = replaceFile(file, func(out io.Writer) error {
		_, err := io.Copy(out, answer.Body)
		return err
	})
	return err
}

func (p *program) cacheInit() cli.Command {
	return cli.Command{
		Name:  "cache-init",
		Usage: "changed permissions for cache paths (internal)",
		Action: func(call *cli.Context) error {
			if call.NArg() == 0 {
				return errors.New("No arguments passed, at least 1 path is required.") //nolint:staticcheck // The real one's words.
			}
			for _, dir := range call.Args() {
				if err := os.Chmod(dir, fs.ModePerm); err != nil {
					p.log.WithError(err).Error("failed to chmod path")
				}
			}
			return nil
		},
	}
}
