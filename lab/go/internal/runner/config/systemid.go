package config

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// SystemIDFile stands beside config.toml.
const SystemIDFile = ".runner_system_id"

const systemIDLength = 12

var (
	systemIDPattern = regexp.MustCompile(`^[sr]_[0-9a-zA-Z]{12}$`)
	machineIDFiles  = []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}
)

// SystemID is what tells this machine's manager from others with the same token. It is made once,
// from the machine id where there is one, and kept in a file.
//
// The id is valid even with an error, which then says why it could not be kept.
func SystemID(configFile string) (string, error) {
	file := filepath.Join(filepath.Dir(configFile), SystemIDFile)
	if data, err := os.ReadFile(file); err == nil {
		if id := strings.TrimSpace(string(data)); systemIDPattern.MatchString(id) {
			return id, nil
		}
	}
	id := newSystemID()
	if err := writeFile(file, []byte(id)); err != nil {
		return id, fmt.Errorf("keeping the system id: %w", err)
	}
	return id, nil
}

func newSystemID() string {
	for _, file := range machineIDFiles {
		data, err := os.ReadFile(file)
		machine := strings.TrimSpace(string(data))
		if err != nil || machine == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(machine))
		mac.Write([]byte("gitlab-runner"))
		return "s_" + hex.EncodeToString(mac.Sum(nil))[:systemIDLength]
	}
	return "r_" + rand.Text()[:systemIDLength]
}
