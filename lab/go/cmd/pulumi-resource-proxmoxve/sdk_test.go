package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
)

// sdk is the npm package whose programs the plugin serves.
const sdk = "../../../../node_modules/@muhlba91/pulumi-proxmoxve"

// served is the schema of the plugin; without the npm package there is nothing to compare it with.
func served(t *testing.T) schema.PackageSpec {
	t.Helper()
	if _, err := os.Stat(sdk); err != nil {
		t.Skipf("%s is not there: run npm ci", filepath.Base(sdk))
	}
	spec, err := schemaOf(providerInfo())
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(sdk, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// moduleFile is where the SDK keeps a token such as proxmoxve:firewall/rulesLegacy:RulesLegacy.
func moduleFile(token string) string {
	return strings.TrimPrefix(strings.Split(token, ":")[1], "index/")
}

// field is a property of a TypeScript interface.
type field struct {
	optional bool
	text     string
}

var property = regexp.MustCompile(`(?m)^\s+(?:readonly )?(\w+)(\??): (.*);$`)

// fields reads an interface; namespace is empty or such as "firewall".
func fields(t *testing.T, source, namespace, name string) map[string]field {
	t.Helper()
	if namespace != "" {
		_, rest, found := strings.Cut(source, "\nexport declare namespace "+namespace+" {\n")
		if !found {
			t.Fatalf("the SDK has no namespace %s", namespace)
		}
		source, _, _ = strings.Cut(rest, "\n}\n")
	}
	_, rest, found := strings.Cut(source, "interface "+name+" {\n")
	if !found {
		t.Fatalf("the SDK has no interface %s", name)
	}
	body, _, _ := strings.Cut(rest, "}\n")
	result := map[string]field{}
	for _, match := range property.FindAllStringSubmatch(body, -1) {
		result[match[1]] = field{match[2] == "?", match[3]}
	}
	return result
}

var reference = regexp.MustCompile(`(?:inputs|outputs)\.(?:(\w+)\.)?(\w+)`)

// checker compares the SDK's types with the schema's, down to the last field.
type checker struct {
	t     *testing.T
	spec  schema.PackageSpec
	types string
	seen  map[string]bool
	count int
}

// object holds an interface's fields to a schema's properties.
func (c *checker) object(what string, theirs map[string]field, ours map[string]schema.PropertySpec, required []string) {
	c.t.Helper()
	for name, want := range theirs {
		c.count++
		got, ok := ours[name]
		if !ok {
			c.t.Errorf("%s: the SDK knows %s, the plugin does not", what, name)
			continue
		}
		if needed := slices.Contains(required, name); needed == want.optional {
			c.t.Errorf("%s: %s is required: %v, and optional for the SDK: %v", what, name, needed, want.optional)
		}
		c.kind(what+"."+name, want.text, got.TypeSpec)
	}
	for name := range ours {
		if _, ok := theirs[name]; !ok {
			c.t.Errorf("%s: the plugin knows %s, the SDK does not", what, name)
		}
	}
}

// kind holds one type to the SDK's spelling of it.
func (c *checker) kind(what, text string, got schema.TypeSpec) {
	c.t.Helper()
	lists := strings.Count(text, "[]")
	for ; lists > 0; lists-- {
		if got.Type != "array" || got.Items == nil {
			c.t.Errorf("%s: %+v for %s", what, got, text)
			return
		}
		got = *got.Items
	}
	if ref := reference.FindStringSubmatch(text); ref != nil {
		c.reference(what, ref[1], ref[2], got.Ref)
		return
	}
	names := map[string]string{"number": `\bnumber\b`, "integer": `\bnumber\b`, "boolean": `\bboolean\b`, "string": `\bstring\b`, "object": `\{\s*\[key`}
	if pattern, ok := names[got.Type]; !ok || !regexp.MustCompile(pattern).MatchString(text) {
		c.t.Errorf("%s: %+v for %s", what, got, text)
	}
}

func (c *checker) reference(what, namespace, name, ref string) {
	c.t.Helper()
	token := strings.TrimPrefix(ref, "#/types/")
	// The schema writes the first letter of a function's types small.
	if base := token[strings.LastIndex(token, ":")+1:]; !strings.EqualFold(base, name) {
		c.t.Errorf("%s: %s for %s", what, token, name)
	}
	if c.seen[token] {
		return
	}
	c.seen[token] = true
	spec, ok := c.spec.Types[token]
	if !ok {
		c.t.Errorf("%s: there is no type %q", what, token)
		return
	}
	c.object(token, fields(c.t, c.types, namespace, name), spec.Properties, spec.Required)
}

func TestEveryResourceTakesWhatTheSDKSends(t *testing.T) {
	spec := served(t)
	inputs := &checker{t: t, spec: spec, types: read(t, "types/input.d.ts"), seen: map[string]bool{}}
	for _, token := range resources {
		resource, ok := spec.Resources[string(token)]
		if !ok {
			t.Errorf("the plugin does not serve %s", token)
			continue
		}
		file, name := moduleFile(string(token)), string(token.Name())
		if !strings.Contains(read(t, file+".js"), fmt.Sprintf("__pulumiType = '%s'", token)) {
			t.Errorf("the SDK's %s is not %s", name, token)
		}
		inputs.object(name, fields(t, read(t, file+".d.ts"), "", name+"Args"), resource.InputProperties, resource.RequiredInputs)
	}
	if inputs.count < 200 {
		t.Errorf("only %d properties were compared", inputs.count)
	}
	t.Logf("%d properties of %d resources", inputs.count, len(resources))
}

func TestEveryFunctionTakesAndTellsWhatTheSDKKnows(t *testing.T) {
	spec := served(t)
	for _, token := range functions {
		function, ok := spec.Functions[string(token)]
		if !ok {
			t.Errorf("the plugin does not serve %s", token)
			continue
		}
		file, name := moduleFile(string(token)), string(token.Name())
		if !strings.Contains(read(t, file+".js"), fmt.Sprintf("runtime.invoke(%q", token)) {
			t.Errorf("the SDK's %s is not %s", name, token)
		}
		upper := "G" + name[1:]
		source := read(t, file+".d.ts")
		inputs := &checker{t: t, spec: spec, types: read(t, "types/input.d.ts"), seen: map[string]bool{}}
		inputs.object(name+" args", fields(t, source, "", upper+"Args"), function.Inputs.Properties, function.Inputs.Required)
		outputs := &checker{t: t, spec: spec, types: read(t, "types/output.d.ts"), seen: map[string]bool{}}
		result := function.Outputs
		outputs.object(name+" result", fields(t, source, "", upper+"Result"), result.Properties, result.Required)
	}
}

func TestTheProviderTakesWhatTheSDKSends(t *testing.T) {
	spec := served(t)
	inputs := &checker{t: t, spec: spec, types: read(t, "types/input.d.ts"), seen: map[string]bool{}}
	inputs.object("Provider", fields(t, read(t, "provider.d.ts"), "", "ProviderArgs"),
		spec.Provider.InputProperties, spec.Provider.RequiredInputs)

	list := regexp.MustCompile(`additionalSecretOutputs: \[([^\]]*)\]`).FindStringSubmatch(read(t, "provider.js"))
	want := regexp.MustCompile(`\w+`).FindAllString(list[1], -1)
	var got []string
	for _, name := range slices.Sorted(maps.Keys(spec.Provider.InputProperties)) {
		if spec.Provider.InputProperties[name].Secret {
			got = append(got, name)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("secret are %v, want %v", got, want)
	}
}

func TestTheVersionIsTheSDKs(t *testing.T) {
	served(t)
	if !strings.Contains(read(t, "package.json"), fmt.Sprintf(`"version": %q`, version)) {
		t.Errorf("the SDK's version is not %s", version)
	}
}
