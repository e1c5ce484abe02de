package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/BurntSushi/toml"
)

// Rewrite changes the `runners` of a file and writes it anew. As with the real runner, comments and
// layout are lost, and tokens taken from the environment are written out.
//
// edit gets each runner's table as it stands in the file and returns those that stay.
func Rewrite(file string, edit func([]map[string]any) []map[string]any) error {
	data, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	raw := map[string]any{}
	if _, err := toml.Decode(string(data), &raw); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if _, ok := raw["concurrent"]; !ok {
		raw["concurrent"] = int64(1)
	}
	runners, _ := raw["runners"].([]map[string]any)
	for _, runner := range runners {
		for _, key := range []string{"token", "url"} {
			if text, ok := runner[key].(string); ok {
				runner[key] = os.ExpandEnv(text)
			}
		}
	}
	runners = edit(runners)
	delete(raw, "runners")
	if len(runners) > 0 {
		raw["runners"] = runners
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(raw); err != nil {
		return err
	}
	return writeFile(file, text.Bytes())
}

// writeFile replaces a file at once; only its owner can read it.
func writeFile(file string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(data)
	if closing := temp.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}
