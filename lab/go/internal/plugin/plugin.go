// Package plugin is what the lab's resource plugins have in common.
package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	p "github.com/pulumi/pulumi-go-provider"
)

// Main serves a provider to the Pulumi engine until that ends it.
func Main(name, version string, make func() (p.Provider, error)) {
	provider, err := make()
	if err == nil {
		err = provider.Run(context.Background(), name, version)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// BridgedModules says in the schema what the tokens of a bridged provider look like: the module
// `index/userRunner` is `index`, in a file of its own. Without it such a schema is refused.
func BridgedModules(provider p.Provider) p.Provider {
	getSchema := provider.GetSchema
	provider.GetSchema = func(ctx context.Context, req p.GetSchemaRequest) (p.GetSchemaResponse, error) {
		response, err := getSchema(ctx, req)
		if err != nil {
			return response, err
		}
		var schema map[string]any
		if err := json.Unmarshal([]byte(response.Schema), &schema); err != nil {
			return response, err
		}
		schema["meta"] = map[string]string{"moduleFormat": "(.*)(?:/[^/]*)"}
		text, err := json.Marshal(schema)
		return p.GetSchemaResponse{Schema: string(text)}, err
	}
	return provider
}
