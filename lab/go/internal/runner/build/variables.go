package build

import (
	"os"
	"path"
	"strconv"
	"strings"

	"gitlab-runner-proxmox/lab/internal/runner/api"
)

// tempDirVariable names the folder of variables that are files.
const tempDirVariable = "RUNNER_TEMP_PROJECT_DIR"

// Variables are a job's variables in the order of their weight: the last of a name counts.
type Variables []api.Variable

// Get is the value of a variable, "" for none. A file's value is its path.
func (v Variables) Get(key string) string {
	for index := len(v) - 1; index >= 0; index-- {
		if v[index].Key != key {
			continue
		}
		if v[index].File {
			return path.Join(v.Get(tempDirVariable), key)
		}
		return v[index].Value
	}
	return ""
}

// Bool reads a switch; what is no switch is off.
func (v Variables) Bool(key string) bool {
	value, err := strconv.ParseBool(v.Get(key))
	return err == nil && value
}

// Int reads a number, or gives the default when there is none.
func (v Variables) Int(key string, otherwise int) int {
	value, err := strconv.Atoi(v.Get(key))
	if err != nil {
		return otherwise
	}
	return value
}

// ExpandValue puts variables into a text, as a shell would.
func (v Variables) ExpandValue(text string) string {
	return os.Expand(text, func(key string) string {
		switch key {
		case "$":
			return key
		case "*", "#", "@", "!", "?", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9":
			return ""
		}
		return v.Get(key)
	})
}

// Expand puts variables into those that are not raw, once.
func (v Variables) Expand() Variables {
	expanded := make(Variables, len(v))
	for index, variable := range v {
		if !variable.Raw {
			variable.Value = v.ExpandValue(variable.Value)
		}
		expanded[index] = variable
	}
	return expanded
}

// Masked are the values that a log must not show.
func (v Variables) Masked() []string {
	var values []string
	for _, variable := range v {
		if variable.Masked {
			values = append(values, variable.Value)
		}
	}
	return values
}

// ForServices are those that a service container may see.
func (v Variables) ForServices() Variables {
	var public Variables
	for _, variable := range v {
		if variable.Public || variable.Internal {
			public = append(public, variable)
		}
	}
	return public
}

// Environment lists them as a process has them.
func (v Variables) Environment() []string {
	list := make([]string, 0, len(v))
	for _, variable := range v {
		list = append(list, variable.Key+"="+v.Get(variable.Key))
	}
	return list
}

// Files are the variables that are files.
func (v Variables) Files() Variables {
	var files Variables
	for _, variable := range v {
		if variable.File {
			files = append(files, variable)
		}
	}
	return files
}

func internal(key, value string) api.Variable {
	return api.Variable{Key: key, Value: value, Public: true, Internal: true, Raw: true}
}

// parseEnvironment reads the `environment` of config.toml.
func parseEnvironment(entries []string) Variables {
	var variables Variables
	for _, entry := range entries {
		key, value, found := strings.Cut(entry, "=")
		if found {
			variables = append(variables, api.Variable{Key: strings.TrimSpace(key), Value: value, Internal: true})
		}
	}
	return variables
}
