package config

import "fmt"

// StringOrArray is a list that may be written as a single string.
type StringOrArray []string

// UnmarshalTOML implements toml.Unmarshaler.
func (s *StringOrArray) UnmarshalTOML(value any) error {
	switch value := value.(type) {
	case string:
		*s = StringOrArray{value}
		return nil
	case []any:
		list := make(StringOrArray, 0, len(value))
		for _, item := range value {
			text, ok := item.(string)
			if !ok {
				return fmt.Errorf("cannot load %T into a string", item)
			}
			list = append(list, text)
		}
		*s = list
		return nil
	}
	return fmt.Errorf("cannot load %T into a string or an array of strings", value)
}
