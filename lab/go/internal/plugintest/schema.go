package plugintest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"testing"

	p "github.com/pulumi/pulumi-go-provider"
)

// Parts names what of a schema is in use.
type Parts struct {
	Resources, Types []string
	Provider         bool
	// Outputs that we may leave out though the published plugin always has them.
	MayLack []string
}

// Object is what may be said or is told, field by field.
type Object struct {
	Fields   map[string]Field
	Required []string
}

// Field is one property. Its type is as the schema spells it.
type Field struct {
	Type    string
	Secret  bool
	Default any
	Replace bool
}

// EqualsPublished compares the served schema with the published one, where that is at hand:
// names, types, defaults, secrecy, what is required and what replaces. LAB_SCHEMAS names the
// folder of the published ones, by default shared/schemas beside the checkout.
func (e *Engine) EqualsPublished(file string, parts Parts) {
	e.t.Helper()
	published := e.published(file)
	response, err := e.GetSchema(p.GetSchemaRequest{})
	if err != nil {
		e.t.Fatal(err)
	}
	served := parse(e.t, []byte(response.Schema))
	if got, want := served.text("version"), e.version; got != want {
		e.t.Errorf("the schema says version %q, want %q", got, want)
	}
	for _, token := range parts.Resources {
		ours, theirs := served.part("resources", token), published.part("resources", token)
		e.compare(token+" inputs", ours.object("inputProperties", "requiredInputs"),
			theirs.object("inputProperties", "requiredInputs"))
		want := theirs.object("properties", "required")
		want.Required = slices.DeleteFunc(want.Required, func(name string) bool {
			return slices.Contains(parts.MayLack, name)
		})
		e.compare(token+" outputs", ours.object("properties", "required"), want)
	}
	for _, token := range parts.Types {
		ours, theirs := served.part("types", token), published.part("types", token)
		e.compare(token, ours.object("properties", "required"), theirs.object("properties", "required"))
		if got, want := ours.values(), theirs.values(); !reflect.DeepEqual(got, want) {
			e.t.Errorf("%s: values %v, want %v", token, got, want)
		}
	}
	if parts.Provider {
		e.compare("provider", served.part("provider").object("inputProperties", "requiredInputs"),
			published.part("provider").object("inputProperties", "requiredInputs"))
	}
}

func (e *Engine) published(file string) node {
	e.t.Helper()
	folder := os.Getenv("LAB_SCHEMAS")
	if folder == "" {
		_, here, _, _ := runtime.Caller(0)
		checkout := filepath.Join(filepath.Dir(here), "..", "..", "..", "..")
		folder = filepath.Join(checkout, "..", "shared", "schemas")
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if os.IsNotExist(err) {
		e.t.Skipf("the published schema %s is not in %s: LAB_SCHEMAS names its folder", file, folder)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return parse(e.t, text)
}

func (e *Engine) compare(what string, ours, theirs Object) {
	e.t.Helper()
	if len(theirs.Fields) == 0 && len(ours.Fields) == 0 && len(theirs.Required) == 0 {
		return
	}
	for name, want := range theirs.Fields {
		got, ok := ours.Fields[name]
		switch {
		case !ok:
			e.t.Errorf("%s: %s is missing", what, name)
		case !reflect.DeepEqual(got, want):
			e.t.Errorf("%s: %s is %+v, want %+v", what, name, got, want)
		}
	}
	for name := range ours.Fields {
		if _, ok := theirs.Fields[name]; !ok {
			e.t.Errorf("%s: %s is not in the published schema", what, name)
		}
	}
	if !slices.Equal(ours.Required, theirs.Required) {
		e.t.Errorf("%s: required are %v, want %v", what, ours.Required, theirs.Required)
	}
}

// node is one object of a schema.
type node map[string]any

func parse(t *testing.T, text []byte) node {
	t.Helper()
	var schema node
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

func (n node) part(path ...string) node {
	for _, key := range path {
		child, _ := n[key].(map[string]any)
		n = child
	}
	return n
}

func (n node) text(key string) string {
	text, _ := n[key].(string)
	return text
}

func (n node) flag(key string) bool {
	flag, _ := n[key].(bool)
	return flag
}

func (n node) object(properties, required string) Object {
	object := Object{Fields: map[string]Field{}}
	for name := range n.part(properties) {
		property := n.part(properties, name)
		object.Fields[name] = Field{
			Type:    property.spelling(),
			Secret:  property.flag("secret"),
			Default: property["default"],
			Replace: property.flag("replaceOnChanges"),
		}
	}
	names, _ := n[required].([]any)
	for _, name := range names {
		object.Required = append(object.Required, name.(string))
	}
	slices.Sort(object.Required)
	return object
}

// spelling is a type in one word, such as `array<string>`.
func (n node) spelling() string {
	if ref := n.text("$ref"); ref != "" {
		return ref
	}
	for _, element := range []string{"items", "additionalProperties"} {
		if child := n.part(element); child != nil {
			return n.text("type") + "<" + child.spelling() + ">"
		}
	}
	return n.text("type")
}

func (n node) values() []any {
	list, _ := n["enum"].([]any)
	var values []any
	for _, entry := range list {
		values = append(values, entry.(map[string]any)["value"])
	}
	return values
}
