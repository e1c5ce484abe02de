package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// schemaFile lists all keys of gitlab-runner 19.3.0, extracted from its source. It lies beside the
// checkout where there is one.
const schemaFile = "shared/schemas/gitlab-runner-19.3.0-config.json"

type schemaKey struct {
	Key  string      `json:"key"`
	Keys []schemaKey `json:"keys"`
}

func findSchema(t *testing.T) []byte {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if data, err := os.ReadFile(filepath.Join(dir, schemaFile)); err == nil {
			return data
		}
	}
	t.Skip("no " + schemaFile + " beside the checkout: the keys are not compared")
	return nil
}

func TestKnowsTheKeysOfTheRealRunner(t *testing.T) {
	var schema struct {
		Keys []schemaKey `json:"keys"`
	}
	require.NoError(t, json.Unmarshal(findSchema(t), &schema))
	want, got := map[string]bool{}, map[string]bool{}
	list(schema.Keys, "", want)
	listFields(reflect.TypeFor[Config](), "", got)
	require.Greater(t, len(want), 300)
	for key := range want {
		require.Contains(t, got, key)
	}
	for key := range got {
		// The list does not go down into every table.
		require.Truef(t, want[key] || isBelowALeaf(key, want), "%s: the real runner does not know this key", key)
	}
}

func isBelowALeaf(key string, want map[string]bool) bool {
	for parent := key; strings.Contains(parent, "."); {
		parent = parent[:strings.LastIndex(parent, ".")]
		if want[parent] {
			return !hasChildren(parent, want)
		}
	}
	return false
}

func hasChildren(parent string, want map[string]bool) bool {
	for key := range want {
		if strings.HasPrefix(key, parent+".") {
			return true
		}
	}
	return false
}

func list(keys []schemaKey, path string, into map[string]bool) {
	for _, key := range keys {
		into[join(path, key.Key)] = true
		list(key.Keys, join(path, key.Key), into)
	}
}

func listFields(in reflect.Type, path string, into map[string]bool) {
	for in.Kind() == reflect.Pointer || in.Kind() == reflect.Slice {
		in = in.Elem()
	}
	if in.Kind() != reflect.Struct || in == timeType {
		return
	}
	for index := range in.NumField() {
		field := in.Field(index)
		place := join(path, field.Tag.Get("toml"))
		into[place] = true
		listFields(field.Type, place, into)
	}
}
