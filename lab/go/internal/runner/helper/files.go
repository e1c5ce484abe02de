package helper

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/urfave/cli"
)

// selection says which files of the project go into an archive.
type selection struct {
	paths     []string
	exclude   []string
	untracked bool
	// dir is the project; the working directory unless set.
	dir string
	// say reports what was found.
	say func(format string, args ...any)
}

func selectionFlags() []cli.Flag {
	return []cli.Flag{
		cli.StringSliceFlag{Name: "path", Usage: "Add paths to archive"},
		cli.StringSliceFlag{Name: "exclude", Usage: "Exclude paths from the archive"},
		cli.BoolFlag{Name: "untracked", Usage: "Add git untracked files"},
		cli.BoolFlag{Name: "verbose", Usage: "Detailed information"},
	}
}

func selectionOf(call *cli.Context, say func(string, ...any)) *selection {
	return &selection{
		paths: call.StringSlice("path"), exclude: call.StringSlice("exclude"),
		untracked: call.Bool("untracked"), dir: ".", say: say,
	}
}

// files lists what matches, relative to the project, folders before what is in them.
func (s *selection) files() ([]string, error) {
	root, err := filepath.Abs(s.dir)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, pattern := range s.paths {
		if err := s.match(root, pattern, found); err != nil {
			return nil, err
		}
	}
	if s.untracked {
		if err := s.addUntracked(root, found); err != nil {
			return nil, err
		}
	}
	list := make([]string, 0, len(found))
	for file := range found {
		list = append(list, file)
	}
	sort.Strings(list)
	return list, nil
}

// relative brings a pattern to the project, and refuses one that leads out of it.
func relative(root, pattern string) (string, bool) {
	if path.IsAbs(pattern) {
		inside, err := filepath.Rel(root, pattern)
		if err != nil {
			return "", false
		}
		pattern = inside
	}
	pattern = path.Clean(filepath.ToSlash(pattern))
	return pattern, pattern != ".." && !strings.HasPrefix(pattern, "../")
}

func (s *selection) match(root, pattern string, found map[string]bool) error {
	inside, ok := relative(root, pattern)
	if !ok {
		s.say("WARNING: %s: it is not inside the project", pattern)
		return nil
	}
	matches, err := doublestar.Glob(os.DirFS(root), inside)
	if err != nil {
		return fmt.Errorf("%s: %w", pattern, err)
	}
	before := len(found)
	excluded := 0
	for _, match := range matches {
		err := filepath.WalkDir(filepath.Join(root, match), func(name string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			file, err := filepath.Rel(root, name)
			switch {
			case err != nil:
				return err
			case file == ".":
			case s.excludes(root, file):
				excluded++
			default:
				found[file] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(matches) == 0 {
		s.say("WARNING: %s: no matching files. Ensure that the artifact path is relative to the working directory (%s)", pattern, root)
	} else {
		s.say("%s: found %d matching artifact files and directories", pattern, len(found)-before)
	}
	if excluded > 0 {
		s.say("%s: excluded %d files", pattern, excluded)
	}
	return nil
}

func (s *selection) excludes(root, file string) bool {
	for _, pattern := range s.exclude {
		inside, ok := relative(root, pattern)
		if !ok {
			continue
		}
		if matched, err := doublestar.Match(inside, filepath.ToSlash(file)); err == nil && matched {
			return true
		}
	}
	return false
}

func (s *selection) addUntracked(root string, found map[string]bool) error {
	command := exec.Command("git", "ls-files", "-o", "-z")
	command.Dir = root
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return fmt.Errorf("untracked: %w: %s", err, strings.TrimSpace(problems.String()))
	}
	count := 0
	for _, file := range strings.Split(out.String(), "\x00") {
		if file != "" && !s.excludes(root, file) {
			found[file] = true
			count++
		}
	}
	s.say("untracked: found %d files", count)
	return nil
}
