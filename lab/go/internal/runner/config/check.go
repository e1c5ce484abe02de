package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"
)

// Problem is something wrong at one place of the file.
type Problem struct {
	// Path names the place, such as runners[0].docker.memory.
	Path string
	// Text says what is wrong there.
	Text string
}

func (p Problem) String() string { return p.Path + ": " + p.Text }

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	listType     = reflect.TypeFor[StringOrArray]()
)

// checker compares a decoded file with the structs and collects all that does not fit.
type checker struct {
	unknown []Problem
	invalid []Problem
}

func (c *checker) table(raw map[string]any, into reflect.Type, path string) {
	keys := make([]string, 0, len(raw))
	for key := range raw {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		place := join(path, key)
		field, ok := fieldFor(into, key)
		if !ok {
			c.unknown = append(c.unknown, Problem{place, "unknown key"})
			continue
		}
		c.value(raw[key], field, place)
	}
}

func (c *checker) value(raw any, into reflect.Type, path string) {
	if into.Kind() == reflect.Pointer {
		into = into.Elem()
	}
	switch into {
	case durationType:
		c.duration(raw, path)
		return
	case timeType:
		if _, ok := raw.(time.Time); !ok {
			c.mistyped(raw, "a date and time", path)
		}
		return
	case listType:
		if _, ok := raw.(string); ok {
			return
		}
		c.list(raw, reflect.TypeFor[string](), "a string or an array of strings", path)
		return
	}
	switch into.Kind() {
	case reflect.Struct:
		table, ok := raw.(map[string]any)
		if !ok {
			c.mistyped(raw, "a table", path)
			return
		}
		c.table(table, into, path)
	case reflect.Map:
		table, ok := raw.(map[string]any)
		if !ok {
			c.mistyped(raw, "a table", path)
			return
		}
		for key, value := range table {
			c.value(value, into.Elem(), join(path, key))
		}
	case reflect.Slice:
		c.list(raw, into.Elem(), "an array", path)
	case reflect.Interface:
	case reflect.String:
		if _, ok := raw.(string); !ok {
			c.mistyped(raw, "a string", path)
		}
	case reflect.Bool:
		if _, ok := raw.(bool); !ok {
			c.mistyped(raw, "true or false", path)
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		number, ok := raw.(int64)
		if !ok {
			c.mistyped(raw, "an integer", path)
		} else if reflect.Zero(into).OverflowInt(number) {
			c.invalid = append(c.invalid, Problem{path, fmt.Sprintf("%d is out of range", number)})
		}
	case reflect.Float64:
		switch raw.(type) {
		case float64, int64:
		default:
			c.mistyped(raw, "a number", path)
		}
	default:
		panic("config: no check for " + into.String())
	}
}

func (c *checker) list(raw any, element reflect.Type, wanted, path string) {
	switch list := raw.(type) {
	case []any:
		for index, value := range list {
			c.value(value, element, fmt.Sprintf("%s[%d]", path, index))
		}
	case []map[string]any:
		for index, value := range list {
			c.value(value, element, fmt.Sprintf("%s[%d]", path, index))
		}
	default:
		c.mistyped(raw, wanted, path)
	}
}

func (c *checker) duration(raw any, path string) {
	switch value := raw.(type) {
	case int64:
	case string:
		if _, err := time.ParseDuration(value); err != nil {
			c.invalid = append(c.invalid, Problem{path, fmt.Sprintf("%q is not a duration such as 1h30m", value)})
		}
	default:
		c.mistyped(raw, "a duration such as \"1h30m\"", path)
	}
}

func (c *checker) mistyped(raw any, wanted, path string) {
	c.invalid = append(c.invalid, Problem{path, fmt.Sprintf("is %s, must be %s", kindOf(raw), wanted)})
}

// fieldFor finds a key as the decoder does: by its exact name, else regardless of case.
func fieldFor(into reflect.Type, key string) (reflect.Type, bool) {
	for _, exact := range []bool{true, false} {
		for index := range into.NumField() {
			field := into.Field(index)
			name := field.Tag.Get("toml")
			if name == "-" || name == "" {
				continue
			}
			if name == key || (!exact && strings.EqualFold(name, key)) {
				return field.Type, true
			}
		}
	}
	return nil, false
}

func kindOf(raw any) string {
	switch raw.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a number"
	case bool:
		return "a boolean"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	case []any, []map[string]any:
		return "an array"
	}
	return fmt.Sprintf("a %T", raw)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
