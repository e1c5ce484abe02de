package build

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"

	"gitlab-runner-proxmox/lab/internal/runner/api"
	"gitlab-runner-proxmox/lab/internal/runner/shell"
)

// defaultCacheTimeout is how many minutes the transfer of a cache may take.
const defaultCacheTimeout = 10

// archive is a cache by its key.
type archive struct {
	key  string
	file string
}

var (
	slashes = strings.NewReplacer("%2f", "/", "%2F", "/", "%2e", ".", "%2E", ".", `\`, "/")

	errNoKey = errors.New("empty cache key")
)

// sanitizeKey keeps a key inside of the cache's folder, and says when it had to change it.
func sanitizeKey(key string) (string, error) {
	if key == "" {
		return "", nil
	}
	cleaned := path.Join("/", slashes.Replace(key))
	for cleaned != "/" {
		dir, file := path.Split(cleaned)
		if file = strings.TrimRightFunc(file, unicode.IsSpace); file != "" {
			safe := path.Join(dir, file)[1:]
			if safe != key {
				return safe, fmt.Errorf("cache key %q sanitized to %q", key, safe)
			}
			return safe, nil
		}
		cleaned = path.Clean(dir)
	}
	return "", fmt.Errorf("cache key %q could not be sanitized", key)
}

func (b *Build) archive(w *shell.Writer, userKey string) (archive, error) {
	key := path.Join("/", b.Job.JobInfo.Name, b.Job.GitInfo.Ref)[1:]
	if userKey != "" {
		key = b.Variables().ExpandValue(userKey)
	}
	name := key
	if b.Flag(FlagHashCacheKeys) {
		name = fmt.Sprintf("%x", sha256.Sum256([]byte(key)))
	} else {
		safe, err := sanitizeKey(key)
		if err != nil {
			w.Warning("%s", err)
		}
		key, name = safe, safe
	}
	if key == "" {
		return archive{}, errNoKey
	}
	return archive{key: key, file: path.Join(b.CacheDir(), name, "cache.zip")}, nil
}

func (b *Build) cacheFiles(cache api.Cache) []string {
	var args []string
	for _, file := range cache.Paths {
		args = append(args, "--path", b.Variables().ExpandValue(file))
	}
	if cache.Untracked {
		args = append(args, "--untracked")
	}
	return args
}

// checkPolicy tells whether a cache is to be pulled, or pushed.
func (b *Build) checkPolicy(cache api.Cache, direction string) (bool, error) {
	switch policy := b.Variables().ExpandValue(cache.Policy); policy {
	case "", "pull-push":
		return true, nil
	case "pull", "push":
		return policy == direction, nil
	default:
		return false, fmt.Errorf("unknown cache policy %s", policy)
	}
}

func (b *Build) cacheTimeout() string {
	return strconv.Itoa(b.Variables().Int("CACHE_REQUEST_TIMEOUT", defaultCacheTimeout))
}

func (b *Build) writeRestoreCache(w *shell.Writer) error {
	b.writeExports(w)
	w.Command("cd", b.ProjectDir())
	work := false
	for _, cache := range b.Job.Cache {
		if len(b.cacheFiles(cache)) == 0 {
			continue
		}
		work = true
		first, err := b.archive(w, cache.Key)
		if err != nil {
			w.Notice("Skipping cache extraction due to %v", err)
			continue
		}
		wanted, err := b.checkPolicy(cache, "pull")
		if err != nil {
			return fmt.Errorf("%w for %s", err, first.key)
		}
		if !wanted {
			w.Notice("Not downloading cache %s due to policy", first.key)
			continue
		}
		archives := append([]archive{first}, b.fallbacks(w, cache)...)
		b.withHelper(w, "Extracting cache", func() { b.writeExtract(w, archives) })
	}
	if !work {
		return errNothingToDo
	}
	return nil
}

// fallbacks are caches to try when the first is not there.
func (b *Build) fallbacks(w *shell.Writer, cache api.Cache) []archive {
	keys := append([]string{}, cache.FallbackKeys...)
	if key := b.Variables().Get("CACHE_FALLBACK_KEY"); strings.HasSuffix(key, "-protected") {
		w.Warning("CACHE_FALLBACK_KEY %q not allowed to end in %q", key, "-protected")
	} else if key != "" {
		keys = append(keys, key)
	}
	var archives []archive
	for _, key := range keys {
		if found, err := b.archive(w, key); err == nil {
			archives = append(archives, found)
		}
	}
	return archives
}

func (b *Build) writeExtract(w *shell.Writer, archives []archive) {
	w.Notice("Checking cache for %s...", archives[0].key)
	w.If(shell.Words(helperCommand, "cache-extractor", "--file", archives[0].file, "--timeout", b.cacheTimeout()))
	w.Notice("Successfully extracted cache")
	w.ElseDo()
	w.Warning("Failed to extract cache")
	if len(archives) > 1 {
		b.writeExtract(w, archives[1:])
	}
	w.EndIf()
}

func (b *Build) writeArchiveCache(w *shell.Writer, succeeded bool) error {
	b.writeExports(w)
	w.Command("cd", b.ProjectDir())
	work := false
	for _, cache := range b.Job.Cache {
		files := b.cacheFiles(cache)
		if !api.Wanted(cache.When, succeeded) || len(files) == 0 {
			continue
		}
		work = true
		target, err := b.archive(w, cache.Key)
		if err != nil {
			w.Notice("Skipping cache archiving due to %v", err)
			continue
		}
		wanted, err := b.checkPolicy(cache, "push")
		if err != nil {
			return fmt.Errorf("%w for %s", err, target.key)
		}
		if !wanted {
			w.Notice("Not uploading cache %s due to policy", target.key)
			continue
		}
		args := append([]string{helperCommand, "cache-archiver", "--file", target.file, "--timeout", b.cacheTimeout()}, files...)
		b.withHelper(w, "Creating cache", func() {
			w.Notice("Creating cache %s...", target.key)
			w.If(shell.Words(args...))
			w.Notice("Created cache")
			w.ElseDo()
			w.Warning("Failed to create cache")
			w.EndIf()
		})
	}
	if !work {
		return errNothingToDo
	}
	return nil
}
